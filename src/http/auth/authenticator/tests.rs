use std::net::Ipv4Addr;
use std::path::Path;

use super::*;
use crate::config::{Https, Secret};
use crate::http::auth::refuse_page;
use crate::http::message::{Method, Response};

/// A very short delay.
const DELAY: Duration = Duration::from_millis(1);

const VIEW: Option<&str> = Some("view-token-01234");
const ADMIN: Option<&str> = Some("admin-token-01234");

fn http(view: Option<&str>, admin: Option<&str>) -> Http {
    let secret = |text: Option<&str>| text.map(|text| Secret::new(text.into()));
    Http { view: secret(view), admin: secret(admin), ..Http::default() }
}

fn request(method: Method, target: &str) -> Request {
    Request::new(method, target, Ipv4Addr::LOCALHOST.into()).with(HeaderField::Host, "agent.example:8080")
}

fn get(field: HeaderField, value: &str) -> Request {
    request(Method::Get, "/sites/awka").with(field, value)
}

fn with_body(mut request: Request, body: &str) -> Request {
    request.body = body.into();
    request
}

fn form(body: &str) -> Request {
    let request =
        request(Method::Post, "/login").with(HeaderField::ContentType, "application/x-www-form-urlencoded");
    with_body(request, body)
}

fn authenticator() -> Authenticator {
    let timings = Timings { wrong_token_delay: DELAY, ..Timings::default() };
    Authenticator::new(&timings, Arc::new(Alerts::new(Duration::ZERO)))
}

/// The response of `/login` or `/logout`, delayed or not.
#[track_caller]
fn ask(authenticator: &Authenticator, request: &Request, http: &Http, now: Moment) -> Response {
    let output = match (request.path.as_str(), request.method) {
        ("/login", Method::Post) => authenticator.log_in(request, http, now),
        ("/login", Method::Get | Method::Head) => authenticator.login_page(request, http, now).into(),
        ("/logout", Method::Post) => authenticator.log_out(request, http),
        other => panic!("{other:?}"),
    };
    match output {
        HandlerOutput::Now(response) => response,
        HandlerOutput::Later(response) => smol::block_on(response),
        HandlerOutput::Events(..) => panic!("{request:?}"),
    }
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    let mut values = response.headers.iter().filter(|(its, _)| *its == name).map(|(_, value)| value.as_str());
    let value = values.next().unwrap_or_default();
    assert_eq!(values.next(), None, "{name} twice");
    value
}

/// The `Cookie` that a browser sends after a `Set-Cookie`.
fn cookie(response: &Response) -> String {
    header(response, "Set-Cookie").split(';').next().unwrap().to_string()
}

/// Logs in and returns the cookie.
#[track_caller]
fn log_in(authenticator: &Authenticator, token: &str, http: &Http, now: Moment) -> String {
    let answer = ask(authenticator, &form(&format!("token={token}")), http, now);
    assert_eq!(answer.status, 303);
    cookie(&answer)
}

/// Sends this many different wrong tokens. Each response is delayed after the previous one.
#[track_caller]
fn wrong_tokens(authenticator: &Authenticator, count: u32, http: &Http, now: Moment) {
    for number in 0..count {
        let request = get(HeaderField::Authorization, &format!("Bearer wrong-{number}"));
        let identity = authenticator.identity(&request, Role::Admin, http, now.after(number * DELAY));
        assert_eq!(identity.credential, Credential::Rejected(AccessError::WrongToken(DELAY)));
    }
}

#[test]
fn a_token_gives_its_role() {
    for (authorization, view, admin, expected, credential) in [
        ("", None, None, Role::Viewer, Credential::Missing),
        ("", VIEW, ADMIN, Role::Anyone, Credential::Missing),
        ("Bearer view-token-01234", VIEW, ADMIN, Role::Viewer, Credential::Bearer),
        ("Bearer admin-token-01234", VIEW, ADMIN, Role::Admin, Credential::Bearer),
        ("bearer admin-token-01234", None, ADMIN, Role::Admin, Credential::Bearer),
        ("Bearer  admin-token-01234 ", None, ADMIN, Role::Admin, Credential::Bearer),
        ("Bearer b", None, ADMIN, Role::Viewer, Credential::Rejected(AccessError::WrongToken(DELAY))),
        ("Bearer b", VIEW, ADMIN, Role::Anyone, Credential::Rejected(AccessError::WrongToken(DELAY))),
        ("Bearer ", VIEW, ADMIN, Role::Anyone, Credential::Rejected(AccessError::WrongToken(Duration::ZERO))),
        ("Bearer", VIEW, ADMIN, Role::Anyone, Credential::Missing),
        ("Basic a", VIEW, ADMIN, Role::Anyone, Credential::Missing),
        ("admin-token-01234", VIEW, ADMIN, Role::Anyone, Credential::Missing),
        // Without an admin token nobody is the admin, with any credential.
        (
            "Bearer admin-token-01234",
            None,
            None,
            Role::Viewer,
            Credential::Rejected(AccessError::WrongToken(Duration::ZERO)),
        ),
        ("Bearer ", None, None, Role::Viewer, Credential::Rejected(AccessError::WrongToken(Duration::ZERO))),
    ] {
        let request = get(HeaderField::Authorization, authorization);
        let identity = authenticator().identity(&request, Role::Admin, &http(view, admin), Moment::now());
        assert_eq!(identity, Identity { role: expected, credential }, "{authorization:?} {view:?} {admin:?}");
    }
}

#[test]
fn a_cookie_stands_for_the_token_that_logged_in() {
    let (http, now, authenticator) = (http(VIEW, ADMIN), Moment::now(), authenticator());
    let [viewer, admin] =
        ["view-token-01234", "admin-token-01234"].map(|token| log_in(&authenticator, token, &http, now));
    for (cookie, authorization, role, credential) in [
        (viewer.as_str(), "", Role::Viewer, Credential::Session),
        (&admin, "", Role::Admin, Credential::Session),
        (&format!("theme=\"dark\"; ?; {admin}; x=y"), "", Role::Admin, Credential::Session),
        // Another host of the domain can set a cookie of this name, too.
        (&format!("phsweb-8080=0; {admin}"), "", Role::Admin, Credential::Session),
        (&admin.replace("8080", "8081"), "", Role::Anyone, Credential::Missing),
        (&format!("{admin}0"), "", Role::Anyone, Credential::Missing),
        ("phsweb-8080=a", "", Role::Anyone, Credential::Missing),
        ("phsweb-8080=", "", Role::Anyone, Credential::Missing),
        // If the cookie suffices, a token is ignored; otherwise it is used.
        (&admin, "Bearer view-token-01234", Role::Admin, Credential::Session),
        (&admin, "Bearer wrong", Role::Admin, Credential::Session),
        (&viewer, "Bearer admin-token-01234", Role::Admin, Credential::Bearer),
        (&viewer, "Bearer wrong", Role::Viewer, Credential::Session),
        // Its error is delayed after the previous one, which the session made needless.
        (
            &format!("{admin}0"),
            "Bearer wrong",
            Role::Anyone,
            Credential::Rejected(AccessError::WrongToken(2 * DELAY)),
        ),
        (&admin, "Basic eA==", Role::Admin, Credential::Session),
    ] {
        let mut request = get(HeaderField::Cookie, cookie);
        if !authorization.is_empty() {
            request = request.with(HeaderField::Authorization, authorization);
        }
        let identity = authenticator.identity(&request, Role::Admin, &http, now);
        assert_eq!(identity, Identity { role, credential }, "{cookie:?} {authorization:?}");
    }
}

#[test]
fn a_session_ends_with_its_token() {
    let (now, authenticator) = (Moment::now(), authenticator());
    let [viewer, admin] = ["view-token-01234", "admin-token-01234"]
        .map(|token| log_in(&authenticator, token, &http(VIEW, ADMIN), now));
    let role = |cookie: &str, http: &Http| {
        authenticator.identity(&get(HeaderField::Cookie, cookie), Role::Admin, http, now).role
    };
    // Another part of the file changes, or the other token.
    assert_eq!(role(&admin, &Http { title: "New".into(), ..http(VIEW, ADMIN) }), Role::Admin);
    assert_eq!(role(&admin, &http(Some("w"), ADMIN)), Role::Admin);
    // A token has its current role.
    assert_eq!(role(&admin, &http(ADMIN, Some("b"))), Role::Viewer);
    assert_eq!(role(&viewer, &http(None, VIEW)), Role::Admin);
    assert_eq!(role(&viewer, &http(Some("w"), ADMIN)), Role::Anyone);
    assert_eq!(role(&viewer, &http(VIEW, ADMIN)), Role::Anyone, "ended with its token");
    assert_eq!(role(&admin, &http(VIEW, ADMIN)), Role::Admin);
}

#[test]
fn logging_out_ends_the_session_and_logging_in_the_one_before() {
    let (http, now, authenticator) = (http(VIEW, ADMIN), Moment::now(), authenticator());
    let role = |cookie: &str| {
        authenticator.identity(&get(HeaderField::Cookie, cookie), Role::Admin, &http, now).role
    };
    let [first, other] = ["view-token-01234"; 2].map(|token| log_in(&authenticator, token, &http, now));
    let again = form("token=admin-token-01234").with(HeaderField::Cookie, first.as_str());
    let second = cookie(&ask(&authenticator, &again, &http, now));
    assert_eq!((role(&first), role(&second), role(&other)), (Role::Anyone, Role::Admin, Role::Viewer));

    let logout = request(Method::Post, "/logout").with(HeaderField::Cookie, second.as_str());
    let answer = ask(&authenticator, &logout, &http, now);
    assert_eq!((answer.status, header(&answer, "Location")), (303, "./"));
    assert!(header(&answer, "Set-Cookie").starts_with("phsweb-8080=; Max-Age=0;"), "{answer:?}");
    assert_eq!((role(&second), role(&other)), (Role::Anyone, Role::Viewer));
    // A second logout, and one without a session, are not errors.
    assert_eq!(ask(&authenticator, &logout, &http, now).status, 303);
    assert_eq!(ask(&authenticator, &request(Method::Post, "/logout"), &http, now).status, 303);
}

#[test]
fn wrong_tokens_are_delayed_and_limited_and_correct_ones_are_always_accepted() {
    let (http, now, authenticator) = (http(None, ADMIN), Moment::now(), authenticator());
    let cookie = log_in(&authenticator, "admin-token-01234", &http, now);
    wrong_tokens(&authenticator, 9, &http, now);
    let then = now.after(20 * DELAY);
    assert_eq!(
        ask(&authenticator, &form("token=guess"), &http, then).status,
        401,
        "a token of the form counts, too"
    );
    let later = now.after(Duration::from_millis(10_100));
    let (wait, seconds) = (Duration::from_millis(49_900), "50");

    let guess = get(HeaderField::Authorization, "Bearer another");
    let identity = authenticator.identity(&guess, Role::Admin, &http, later);
    assert_eq!(
        identity,
        Identity { role: Role::Viewer, credential: Credential::Rejected(AccessError::TooManyAttempts(wait)) }
    );
    assert_eq!(identity.may(Role::Viewer, &http), Ok(()), "public content needs no token");
    assert_eq!(identity.may(Role::Admin, &http), Err(AccessError::TooManyAttempts(wait)));
    let answer = ask(&authenticator, &form("token=another"), &http, later);
    assert_eq!((answer.status, header(&answer, "Retry-After")), (429, seconds));
    assert_eq!((header(&answer, "Set-Cookie"), header(&answer, "Cache-Control")), ("", "no-store"));
    assert!(String::from_utf8(answer.body.to_vec()).unwrap().contains("again in 50 seconds"));
    // A token that was counted before is checked as before.
    let again = get(HeaderField::Authorization, "Bearer wrong-0");
    let identity = authenticator.identity(&again, Role::Admin, &http, later);
    assert_eq!(
        (identity.credential, identity.may(Role::Admin, &http)),
        (Credential::Rejected(AccessError::WrongToken(DELAY)), Err(AccessError::WrongToken(DELAY)))
    );

    // A correct token, a cookie, and a wrong cookie, which is not a guess.
    let correct = get(HeaderField::Authorization, "Bearer admin-token-01234");
    let identity = authenticator.identity(&correct, Role::Admin, &http, later);
    assert_eq!(identity, Identity { role: Role::Admin, credential: Credential::Bearer });
    log_in(&authenticator, "admin-token-01234", &http, later);
    let identity = authenticator.identity(&get(HeaderField::Cookie, &cookie), Role::Admin, &http, later);
    assert_eq!(identity, Identity { role: Role::Admin, credential: Credential::Session });
    let identity =
        authenticator.identity(&get(HeaderField::Cookie, "phsweb-8080=0"), Role::Admin, &http, later);
    assert_eq!(identity.may(Role::Admin, &http), Err(AccessError::MissingToken));
    assert_eq!(ask(&authenticator, &request(Method::Get, "/login"), &http, later).status, 200);

    let mut elsewhere = guess.clone();
    elsewhere.peer = [127, 0, 0, 2].into();
    assert_eq!(
        authenticator.identity(&elsewhere, Role::Admin, &http, later).credential,
        Credential::Rejected(AccessError::WrongToken(DELAY))
    );
    let identity = authenticator.identity(&guess, Role::Admin, &http, now.after(Duration::from_secs(61)));
    assert_eq!(identity.credential, Credential::Rejected(AccessError::WrongToken(DELAY)));
}

/// Files of earlier versions may have a short token.
#[test]
fn a_short_token_is_not_checked_while_its_address_is_throttled() {
    let (http, now, authenticator) = (http(None, Some("short")), Moment::now(), authenticator());
    let correct = get(HeaderField::Authorization, "Bearer short");
    wrong_tokens(&authenticator, 9, &http, now);
    assert_eq!(authenticator.identity(&correct, Role::Admin, &http, now).role, Role::Admin);
    assert_eq!(ask(&authenticator, &form("token=guess"), &http, now.after(20 * DELAY)).status, 401);
    for token in ["short", "wrong"] {
        let request = get(HeaderField::Authorization, &format!("Bearer {token}"));
        let identity = authenticator.identity(&request, Role::Admin, &http, now);
        assert!(
            matches!(identity.credential, Credential::Rejected(AccessError::TooManyAttempts(_))),
            "{token}: {identity:?}"
        );
        assert_eq!(ask(&authenticator, &form(&format!("token={token}")), &http, now).status, 429, "{token}");
    }
    let mut elsewhere = correct.clone();
    elsewhere.peer = [127, 0, 0, 2].into();
    assert_eq!(authenticator.identity(&elsewhere, Role::Admin, &http, now).role, Role::Admin);
    assert_eq!(
        authenticator.identity(&correct, Role::Admin, &http, now.after(Duration::from_secs(61))).role,
        Role::Admin
    );
}

#[test]
fn few_errors_are_delayed_at_once() {
    let authenticator = authenticator();
    let refuse = || authenticator.refuse(AccessError::WrongToken(DELAY), DELAY, AccessError::problem);
    let delayed: Vec<HandlerOutput> = (0..MAX_DELAYED).map(|_| refuse()).collect();
    assert!(delayed.iter().all(|reply| matches!(reply, HandlerOutput::Later(_))));
    let HandlerOutput::Now(answer) = refuse() else { panic!("one more is delayed") };
    assert_eq!((answer.status, header(&answer, "Retry-After")), (429, "1"));
    // Each returns its permit, whether it was sent or its client has disconnected.
    drop(delayed);
    let HandlerOutput::Later(answer) = refuse() else { panic!("no permit was returned") };
    assert_eq!(smol::block_on(answer).status, 401);
}

#[test]
fn a_wrong_token_for_public_content_changes_nothing_and_has_a_limit_of_its_own() {
    let (now, authenticator) = (Moment::now(), authenticator());
    let [long, short] = [ADMIN, Some("short")].map(|admin| http(None, admin));
    let identity = |http: &Http, token: &str, needed, now| {
        let request = get(HeaderField::Authorization, &format!("Bearer {token}"));
        authenticator.identity(&request, needed, http, now)
    };
    let admin = Identity { role: Role::Admin, credential: Credential::Bearer };
    for number in 0..20 {
        assert_eq!(
            identity(&long, &format!("foreign-{number}"), Role::Viewer, now),
            Identity::anonymous(&long)
        );
    }
    assert_eq!(
        identity(&long, "admin-token-01234", Role::Viewer, now),
        admin,
        "a correct one gives its role"
    );
    // A short token could be guessed this way.
    for number in 0..9 {
        assert_eq!(
            identity(&short, &format!("foreign-{number}"), Role::Viewer, now),
            Identity::anonymous(&short)
        );
    }
    assert_eq!(identity(&short, "short", Role::Viewer, now), admin);
    assert_eq!(identity(&short, "foreign", Role::Viewer, now), Identity::anonymous(&short));
    assert_eq!(identity(&short, "short", Role::Viewer, now), Identity::anonymous(&short), "ten were wrong");
    assert_eq!(identity(&long, "admin-token-01234", Role::Viewer, now), admin);
    // None of them counts if a token is needed, and those do not count here.
    assert_eq!(identity(&short, "short", Role::Admin, now), admin);
    wrong_tokens(&authenticator, 10, &short, now);
    assert!(matches!(
        identity(&short, "short", Role::Admin, now).credential,
        Credential::Rejected(AccessError::TooManyAttempts(_))
    ));
    let later = now.after(Duration::from_secs(61));
    assert_eq!(identity(&short, "short", Role::Viewer, later), admin);
    wrong_tokens(&authenticator, 10, &short, later);
    assert_eq!(identity(&short, "short", Role::Viewer, later), admin);
}

#[test]
fn a_token_that_the_cookie_makes_needless_does_not_count() {
    let (http, now, authenticator) = (http(VIEW, ADMIN), Moment::now(), authenticator());
    let [viewer, admin] =
        ["view-token-01234", "admin-token-01234"].map(|token| log_in(&authenticator, token, &http, now));
    let identity = |cookie: &str, needed| {
        let request = get(HeaderField::Cookie, cookie).with(HeaderField::Authorization, "Bearer foreign");
        authenticator.identity(&request, needed, &http, now)
    };
    for _ in 0..20 {
        assert_eq!(
            identity(&viewer, Role::Viewer),
            Identity { role: Role::Viewer, credential: Credential::Session }
        );
        assert_eq!(
            identity(&admin, Role::Admin),
            Identity { role: Role::Admin, credential: Credential::Session }
        );
    }
    // It is a guess if the session does not suffice.
    assert_eq!(identity(&viewer, Role::Admin).may(Role::Admin, &http), Err(AccessError::AdminRequired));
    wrong_tokens(&authenticator, 9, &http, now.after(20 * DELAY));
    let another = get(HeaderField::Cookie, &viewer).with(HeaderField::Authorization, "Bearer another");
    let identity = authenticator.identity(&another, Role::Admin, &http, now);
    assert!(matches!(identity.may(Role::Admin, &http), Err(AccessError::TooManyAttempts(_))), "{identity:?}");
}

#[test]
fn a_wrong_cookie_and_an_empty_token_do_not_count() {
    let (http, now, authenticator) = (http(VIEW, ADMIN), Moment::now(), authenticator());
    for _ in 0..20 {
        authenticator.identity(&get(HeaderField::Cookie, "phsweb-8080=0"), Role::Admin, &http, now);
        authenticator.identity(&get(HeaderField::Authorization, "Bearer "), Role::Admin, &http, now);
        authenticator.identity(&get(HeaderField::Authorization, "Basic eA=="), Role::Admin, &http, now);
        assert_eq!(ask(&authenticator, &form("token="), &http, now).status, 401);
    }
    assert_eq!(
        authenticator
            .identity(&get(HeaderField::Authorization, "Bearer admin-token-01234"), Role::Admin, &http, now)
            .role,
        Role::Admin
    );
}

#[test]
fn an_error_states_what_is_missing() {
    let wait = Duration::from_secs(7);
    for (credential, needed, view, admin, expected, status) in [
        (Credential::Missing, Role::Viewer, VIEW, ADMIN, AccessError::MissingToken, 401),
        (Credential::Missing, Role::Admin, VIEW, ADMIN, AccessError::MissingToken, 401),
        (
            Credential::Rejected(AccessError::WrongToken(DELAY)),
            Role::Viewer,
            VIEW,
            ADMIN,
            AccessError::WrongToken(DELAY),
            401,
        ),
        (
            Credential::Rejected(AccessError::TooManyAttempts(wait)),
            Role::Admin,
            VIEW,
            ADMIN,
            AccessError::TooManyAttempts(wait),
            429,
        ),
        (Credential::Bearer, Role::Admin, VIEW, ADMIN, AccessError::AdminRequired, 403),
        (Credential::Session, Role::Admin, VIEW, ADMIN, AccessError::AdminRequired, 403),
        (Credential::Missing, Role::Admin, None, None, AccessError::AdminDisabled, 403),
        (
            Credential::Rejected(AccessError::WrongToken(DELAY)),
            Role::Admin,
            None,
            None,
            AccessError::AdminDisabled,
            403,
        ),
        (
            Credential::Rejected(AccessError::TooManyAttempts(wait)),
            Role::Admin,
            None,
            None,
            AccessError::AdminDisabled,
            403,
        ),
        (Credential::Session, Role::Admin, VIEW, None, AccessError::AdminDisabled, 403),
    ] {
        let http = http(view, admin);
        let role = match credential {
            Credential::Bearer | Credential::Session => Role::Viewer,
            _ => Role::without_token(&http),
        };
        let refusal = Identity { role, credential }.may(needed, &http).unwrap_err();
        assert_eq!(refusal, expected, "{credential:?} {needed:?}");
        let problem = refusal.problem();
        assert_eq!((problem.status, problem.content_type), (status, "application/problem+json"));
        assert_eq!(header(&problem, "WWW-Authenticate"), if status == 401 { "Bearer" } else { "" });
        assert_eq!(header(&problem, "Retry-After"), if status == 429 { "7" } else { "" });
    }
}

#[test]
fn a_browser_gets_the_login_form_with_an_error() {
    let http = http(VIEW, ADMIN);
    for (accept, is_browser) in [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", true),
        ("application/json, Text/HTML;q=0.5", true),
        ("*/*", false),
        ("", false),
        ("application/json", false),
        ("text/*", false),
        ("text/html5", false),
    ] {
        for (refusal, status) in [
            (AccessError::MissingToken, 401),
            (AccessError::AdminRequired, 403),
            (AccessError::AdminDisabled, 403),
        ] {
            let answer =
                refuse_page(&get(HeaderField::Accept, accept), refusal, Identity::anonymous(&http), &http);
            assert_eq!(answer.status, status, "{accept}");
            assert_eq!(answer.content_type.starts_with("text/html"), is_browser, "{accept}");
            assert_eq!(header(&answer, "WWW-Authenticate"), if status == 401 { "Bearer" } else { "" });
            let body = String::from_utf8(answer.body.to_vec()).unwrap();
            let has_form = is_browser && refusal != AccessError::AdminDisabled;
            assert_eq!(body.contains("name=\"token\""), has_form, "{body}");
            assert_eq!(body.contains("value=\"/sites/awka\""), has_form, "{body}");
        }
    }
}

#[test]
fn login_and_logout_answer_with_these_statuses() {
    let mistyped = with_body(request(Method::Post, "/login"), "token=admin-token-01234");
    let get = Method::Get;
    for (request, view, admin, status, location) in [
        (form("token=admin-token-01234&to=%2Fsites%2Fawka"), VIEW, ADMIN, 303, "./sites/awka"),
        (form("to=/&token=view-token-01234"), VIEW, ADMIN, 303, "./"),
        (form("token=+admin-token-01234%20"), VIEW, ADMIN, 303, "./"),
        (
            form("token=admin-token-01234")
                .with(HeaderField::ContentType, "Application/X-WWW-Form-URLencoded;charset=UTF-8"),
            VIEW,
            ADMIN,
            303,
            "./",
        ),
        (form("token=view-token-01234"), None, ADMIN, 401, ""),
        (form("token=%FF%00"), VIEW, ADMIN, 401, ""),
        (form("to=/"), VIEW, ADMIN, 401, ""),
        (form(""), VIEW, ADMIN, 401, ""),
        (form("Token=admin-token-01234"), VIEW, ADMIN, 401, ""),
        (form("token=b&token=admin-token-01234"), VIEW, ADMIN, 401, ""),
        (form("token=admin-token-01234"), None, None, 403, ""),
        (mistyped.clone(), VIEW, ADMIN, 415, ""),
        (mistyped.with(HeaderField::ContentType, "application/json"), VIEW, ADMIN, 415, ""),
        (request(get, "/login?to=/sites/awka"), VIEW, ADMIN, 200, ""),
        (request(Method::Head, "/login"), VIEW, ADMIN, 200, ""),
        (request(get, "/login"), None, None, 200, ""),
    ] {
        let answer = ask(&authenticator(), &request, &http(view, admin), Moment::now());
        assert_eq!((answer.status, header(&answer, "Location")), (status, location), "{request:?}");
        assert_eq!(header(&answer, "Set-Cookie").is_empty(), status != 303, "{request:?}");
        assert_eq!(header(&answer, "Cache-Control"), "no-store", "{request:?}");
    }
}

#[test]
fn a_login_redirects_to_the_agents_own_pages_only() {
    let long = format!("/{}", "a".repeat(511));
    for (to, expected) in [
        ("/", "/"),
        ("/sites/awka", "/sites/awka"),
        ("/sites/awka?range=24h&x=%2F#a", "/sites/awka?range=24h&x=%2F#a"),
        (&long, &long),
        (&format!("{long}a"), "/"),
        ("", "/"),
        ("sites/awka", "/"),
        ("//evil.example", "/"),
        ("///evil.example", "/"),
        ("/x//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("\\\\evil.example", "/"),
        ("https://evil.example/", "/"),
        ("javascript:alert(1)", "/"),
        ("/\t/evil.example", "/"),
        ("/\n/evil.example", "/"),
        ("/\r\nSet-Cookie: a=b", "/"),
        (" //evil.example", "/"),
        ("/\u{7f}", "/"),
        ("/ä", "/"),
        ("/a b", "/"),
    ] {
        let mut sent = form_urlencoded::Serializer::new(String::new());
        let sent = sent.append_pair("token", "admin-token-01234").append_pair("to", to).finish();
        let (authenticator, http, now) = (authenticator(), http(VIEW, ADMIN), Moment::now());
        let answer = ask(&authenticator, &form(&sent), &http, now);
        let location = format!(".{expected}");
        assert_eq!((answer.status, header(&answer, "Location")), (303, location.as_str()), "{to:?}");
        // And the form passes the same path on.
        let page = ask(&authenticator, &request(Method::Get, &format!("/login?{sent}")), &http, now);
        let page = String::from_utf8(page.body.to_vec()).unwrap();
        let shown = format!("type=\"hidden\" value=\"{}\"", expected.replace('&', "&#38;"));
        assert!(page.contains(&shown), "{to:?}: {page}");
    }
}

#[test]
fn over_tls_a_cookie_is_secure() {
    let (http, now) = (http(VIEW, ADMIN), Moment::now());
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    let tls = Https::load(kept.join("page.cert.pem"), kept.join("page.key.pem")).ok();
    for (has_tls, is_https, name) in [
        (false, None, "phsweb-8080"),
        (true, None, "__Host-phsweb-8080"),
        // A trusted proxy states the browser's scheme.
        (false, Some(true), "__Secure-phsweb-8080"),
        (false, Some(false), "phsweb-8080"),
        (true, Some(true), "__Secure-phsweb-8080"),
        (true, Some(false), "phsweb-8080"),
    ] {
        let authenticator = authenticator();
        let http = Http { tls: tls.clone().filter(|_| has_tls), ..http.clone() };
        let from_proxy = |mut request: Request| {
            request.is_https = is_https;
            request
        };
        let answer = ask(&authenticator, &from_proxy(form("token=admin-token-01234")), &http, now);
        let set = header(&answer, "Set-Cookie");
        assert!(set.starts_with(&format!("{name}=")), "{set}");
        for attribute in ["; HttpOnly", "; SameSite=Strict", "; Max-Age="] {
            assert!(set.contains(attribute), "{set}");
        }
        assert_eq!(set.contains("; Secure"), name.starts_with("__"), "{set}");
        // No other program behind the same proxy receives it.
        assert_eq!(set.contains("; Path=/"), name.starts_with("__Host-"), "{set}");
        assert_eq!(set.contains("Path"), name.starts_with("__Host-"), "{set}");
        let request = from_proxy(get(HeaderField::Cookie, &cookie(&answer)));
        let identity = authenticator.identity(&request, Role::Admin, &http, now);
        assert_eq!(identity.role, Role::Admin);
        assert_eq!(super::is_https(&request, &http), name.starts_with("__"));
    }
}

#[test]
fn the_account_menu_depends_on_the_identity() {
    let identity = |role, credential| Identity { role, credential };
    for (identity, view, admin, expected) in [
        (identity(Role::Viewer, Credential::Missing), None, None, ""),
        (identity(Role::Viewer, Credential::Missing), None, ADMIN, "login?to=%2Fsites%2Fa%26b"),
        (
            identity(Role::Viewer, Credential::Rejected(AccessError::WrongToken(DELAY))),
            None,
            ADMIN,
            "login?to=%2Fsites%2Fa%26b",
        ),
        (identity(Role::Viewer, Credential::Session), VIEW, ADMIN, "viewer, can leave"),
        (identity(Role::Admin, Credential::Session), VIEW, ADMIN, "admin, can leave"),
        (identity(Role::Admin, Credential::Bearer), VIEW, ADMIN, "admin"),
    ] {
        let shown = match identity.account(&http(view, admin), "/sites/a&b") {
            AccountMenu::None => String::new(),
            AccountMenu::Unknown { login } => login,
            AccountMenu::Known { is_admin, can_leave } => {
                let name = if is_admin { "admin" } else { "viewer" };
                format!("{name}{}", if can_leave { ", can leave" } else { "" })
            }
        };
        assert_eq!(shown, expected, "{identity:?}");
    }
}

#[test]
fn identities_that_see_different_pages_have_different_tags() {
    let callers = [
        Identity { role: Role::Viewer, credential: Credential::Missing },
        Identity { role: Role::Viewer, credential: Credential::Session },
        Identity { role: Role::Admin, credential: Credential::Bearer },
        Identity { role: Role::Admin, credential: Credential::Session },
    ];
    for (at, one) in callers.iter().enumerate() {
        assert!(callers[..at].iter().all(|other| other.tag() != one.tag()), "{one:?}");
    }
}
