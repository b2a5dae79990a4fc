use std::net::Ipv4Addr;
use std::path::Path;

use super::*;
use crate::config::{Https, Secret};
use crate::http::message::{Method, Response};

const VIEW: Option<&str> = Some("v");
const ADMIN: Option<&str> = Some("a");

fn http(view: Option<&str>, admin: Option<&str>) -> Http {
    let secret = |text: Option<&str>| text.map(|text| Secret::new(text.into()));
    Http { view: secret(view), admin: secret(admin), ..Http::default() }
}

fn request(method: Method, target: &str) -> Request {
    Request::new(method, target, Ipv4Addr::LOCALHOST.into()).with(Field::Host, "agent.example:8080")
}

fn get(field: Field, value: &str) -> Request {
    request(Method::Get, "/sites/awka").with(field, value)
}

fn with_body(mut request: Request, body: &str) -> Request {
    request.body = body.into();
    request
}

fn form(body: &str) -> Request {
    let request =
        request(Method::Post, "/login").with(Field::ContentType, "application/x-www-form-urlencoded");
    with_body(request, body)
}

fn header<'r>(response: &'r Response, name: &str) -> &'r str {
    let mut values = response.headers.iter().filter(|(its, _)| *its == name).map(|(_, value)| value.as_str());
    let value = values.next().unwrap_or_default();
    assert_eq!(values.next(), None, "{name} twice");
    value
}

/// What a browser sends back of an answer's cookie.
fn cookie(response: &Response) -> String {
    header(response, "Set-Cookie").split(';').next().unwrap().to_string()
}

/// Logs in; the cookie.
#[track_caller]
fn logged_in(authority: &Authority, token: &str, http: &Http, now: Moment) -> String {
    let answer = authority.answer(&form(&format!("token={token}")), http, now).unwrap();
    assert_eq!(answer.status, 303);
    cookie(&answer)
}

fn wrong_tokens(authority: &Authority, count: usize, http: &Http, now: Moment) {
    for _ in 0..count {
        let caller = authority.caller(&get(Field::Authorization, "Bearer wrong"), Role::Admin, http, now);
        assert_eq!(caller.proof, Proof::Wrong);
    }
}

#[test]
fn a_token_gives_its_role() {
    for (authorization, view, admin, expected, proof) in [
        ("", None, None, Role::Viewer, Proof::Nothing),
        ("", VIEW, ADMIN, Role::Anyone, Proof::Nothing),
        ("Bearer v", VIEW, ADMIN, Role::Viewer, Proof::Bearer),
        ("Bearer a", VIEW, ADMIN, Role::Admin, Proof::Bearer),
        ("bearer a", None, ADMIN, Role::Admin, Proof::Bearer),
        ("Bearer  a ", None, ADMIN, Role::Admin, Proof::Bearer),
        ("Bearer b", None, ADMIN, Role::Viewer, Proof::Wrong),
        ("Bearer b", VIEW, ADMIN, Role::Anyone, Proof::Wrong),
        ("Bearer ", VIEW, ADMIN, Role::Anyone, Proof::Wrong),
        ("Bearer", VIEW, ADMIN, Role::Anyone, Proof::Nothing),
        ("Basic a", VIEW, ADMIN, Role::Anyone, Proof::Nothing),
        ("a", VIEW, ADMIN, Role::Anyone, Proof::Nothing),
        // No admin token: nobody is, whatever is sent.
        ("Bearer a", None, None, Role::Viewer, Proof::Wrong),
        ("Bearer ", None, None, Role::Viewer, Proof::Wrong),
    ] {
        let request = get(Field::Authorization, authorization);
        let caller = Authority::default().caller(&request, Role::Admin, &http(view, admin), Moment::now());
        assert_eq!(caller, Caller { role: expected, proof }, "{authorization:?} {view:?} {admin:?}");
    }
}

#[test]
fn a_cookie_stands_for_the_token_that_logged_in() {
    let (http, now, authority) = (http(VIEW, ADMIN), Moment::now(), Authority::default());
    let [viewer, admin] = ["v", "a"].map(|token| logged_in(&authority, token, &http, now));
    for (cookie, authorization, role, proof) in [
        (viewer.as_str(), "", Role::Viewer, Proof::Session),
        (&admin, "", Role::Admin, Proof::Session),
        (&format!("theme=\"dark\"; ?; {admin}; x=y"), "", Role::Admin, Proof::Session),
        // Another host of the domain can put one of the name before ours.
        (&format!("phsweb-8080=0; {admin}"), "", Role::Admin, Proof::Session),
        (&admin.replace("8080", "8081"), "", Role::Anyone, Proof::Nothing),
        (&format!("{admin}0"), "", Role::Anyone, Proof::Nothing),
        ("phsweb-8080=a", "", Role::Anyone, Proof::Nothing),
        ("phsweb-8080=", "", Role::Anyone, Proof::Nothing),
        // If the cookie suffices, a token is not looked at; otherwise ours is used.
        (&admin, "Bearer v", Role::Admin, Proof::Session),
        (&admin, "Bearer wrong", Role::Admin, Proof::Session),
        (&viewer, "Bearer a", Role::Admin, Proof::Bearer),
        (&viewer, "Bearer wrong", Role::Viewer, Proof::Session),
        (&format!("{admin}0"), "Bearer wrong", Role::Anyone, Proof::Wrong),
        (&admin, "Basic eA==", Role::Admin, Proof::Session),
    ] {
        let mut request = get(Field::Cookie, cookie);
        if !authorization.is_empty() {
            request = request.with(Field::Authorization, authorization);
        }
        let caller = authority.caller(&request, Role::Admin, &http, now);
        assert_eq!(caller, Caller { role, proof }, "{cookie:?} {authorization:?}");
    }
}

#[test]
fn a_session_lives_as_long_as_its_token_is_one() {
    let (now, authority) = (Moment::now(), Authority::default());
    let [viewer, admin] = ["v", "a"].map(|token| logged_in(&authority, token, &http(VIEW, ADMIN), now));
    let role = |cookie: &str, http: &Http| {
        authority.caller(&get(Field::Cookie, cookie), Role::Admin, http, now).role
    };
    // Another part of the file changes, or the other token.
    assert_eq!(role(&admin, &Http { title: "New".into(), ..http(VIEW, ADMIN) }), Role::Admin);
    assert_eq!(role(&admin, &http(Some("w"), ADMIN)), Role::Admin);
    // A token's role is what it is now.
    assert_eq!(role(&admin, &http(ADMIN, Some("b"))), Role::Viewer);
    assert_eq!(role(&viewer, &http(None, Some("v"))), Role::Admin);
    assert_eq!(role(&viewer, &http(Some("w"), ADMIN)), Role::Anyone);
    assert_eq!(role(&viewer, &http(VIEW, ADMIN)), Role::Anyone, "ended with its token");
    assert_eq!(role(&admin, &http(VIEW, ADMIN)), Role::Admin);
}

#[test]
fn logging_out_ends_the_session_and_logging_in_the_one_before() {
    let (http, now, authority) = (http(VIEW, ADMIN), Moment::now(), Authority::default());
    let role = |cookie: &str| authority.caller(&get(Field::Cookie, cookie), Role::Admin, &http, now).role;
    let [first, other] = ["v", "v"].map(|token| logged_in(&authority, token, &http, now));
    let again = form("token=a").with(Field::Cookie, first.as_str());
    let second = cookie(&authority.answer(&again, &http, now).unwrap());
    assert_eq!((role(&first), role(&second), role(&other)), (Role::Anyone, Role::Admin, Role::Viewer));

    let logout = request(Method::Post, "/logout").with(Field::Cookie, second.as_str());
    let answer = authority.answer(&logout, &http, now).unwrap();
    assert_eq!((answer.status, header(&answer, "Location")), (303, "./"));
    assert!(header(&answer, "Set-Cookie").starts_with("phsweb-8080=; Max-Age=0;"), "{answer:?}");
    assert_eq!((role(&second), role(&other)), (Role::Anyone, Role::Viewer));
    // Again, and with nothing to end: no matter.
    assert_eq!(authority.answer(&logout, &http, now).unwrap().status, 303);
    assert_eq!(authority.answer(&request(Method::Post, "/logout"), &http, now).unwrap().status, 303);
}

#[test]
fn who_guessed_waits_unless_it_needs_no_token() {
    let (http, now, authority) = (http(None, ADMIN), Moment::now(), Authority::default());
    let cookie = logged_in(&authority, "a", &http, now);
    wrong_tokens(&authority, 9, &http, now);
    let guess = form("token=guess");
    assert_eq!(
        authority.answer(&guess, &http, now).unwrap().status,
        401,
        "the tenth, and the form's counts, too"
    );
    let later = now.after(Duration::from_millis(10_100));
    let (wait, seconds) = (Duration::from_millis(49_900), "50");

    let right = get(Field::Authorization, "Bearer a");
    let caller = authority.caller(&right, Role::Admin, &http, later);
    assert_eq!(caller, Caller { role: Role::Viewer, proof: Proof::HeldOff(wait) });
    assert_eq!(caller.may(Role::Viewer, &http), Ok(()), "what is public needs no token");
    assert_eq!(caller.may(Role::Admin, &http), Err(Refusal::Wait(wait)));
    let answer = authority.answer(&form("token=a"), &http, later).unwrap();
    assert_eq!((answer.status, header(&answer, "Retry-After")), (429, seconds));
    assert_eq!((header(&answer, "Set-Cookie"), header(&answer, "Cache-Control")), ("", "no-store"));
    assert!(String::from_utf8(answer.body).unwrap().contains("again in 50 seconds"));

    // A cookie goes on, and one that is wrong is no guess.
    let caller = authority.caller(&get(Field::Cookie, &cookie), Role::Admin, &http, later);
    assert_eq!(caller, Caller { role: Role::Admin, proof: Proof::Session });
    let caller = authority.caller(&get(Field::Cookie, "phsweb-8080=0"), Role::Admin, &http, later);
    assert_eq!(caller.may(Role::Admin, &http), Err(Refusal::NoToken));
    assert_eq!(authority.answer(&request(Method::Get, "/login"), &http, later).unwrap().status, 200);

    let mut elsewhere = right.clone();
    elsewhere.peer = [127, 0, 0, 2].into();
    assert_eq!(authority.caller(&elsewhere, Role::Admin, &http, later).role, Role::Admin);
    assert_eq!(
        authority.caller(&right, Role::Admin, &http, now.after(Duration::from_secs(60))).role,
        Role::Admin
    );
}

#[test]
fn a_wrong_token_for_public_content_changes_nothing_and_has_a_limit_of_its_own() {
    let (http, now, authority) = (http(None, ADMIN), Moment::now(), Authority::default());
    let caller = |token: &str, needed, now| {
        let request = get(Field::Authorization, &format!("Bearer {token}"));
        authority.caller(&request, needed, &http, now)
    };
    let admin = Caller { role: Role::Admin, proof: Proof::Bearer };
    for _ in 0..9 {
        assert_eq!(caller("foreign", Role::Viewer, now), Caller::nobody(&http));
    }
    assert_eq!(caller("a", Role::Viewer, now), admin, "a correct one gives its role");
    assert_eq!(caller("foreign", Role::Viewer, now), Caller::nobody(&http));
    assert_eq!(caller("a", Role::Viewer, now), Caller::nobody(&http), "ten were wrong");
    // Where a token is needed none of them counts, nor does it count the other way round.
    assert_eq!(caller("a", Role::Admin, now), admin);
    wrong_tokens(&authority, 10, &http, now);
    assert!(matches!(caller("a", Role::Admin, now).proof, Proof::HeldOff(_)));
    let later = now.after(Duration::from_secs(60));
    assert_eq!(caller("a", Role::Viewer, later), admin);
    wrong_tokens(&authority, 10, &http, later);
    assert_eq!(caller("a", Role::Viewer, later), admin);
}

#[test]
fn a_token_that_the_cookie_makes_needless_does_not_count() {
    let (http, now, authority) = (http(VIEW, ADMIN), Moment::now(), Authority::default());
    let [viewer, admin] = ["v", "a"].map(|token| logged_in(&authority, token, &http, now));
    let caller = |cookie: &str, needed| {
        let request = get(Field::Cookie, cookie).with(Field::Authorization, "Bearer foreign");
        authority.caller(&request, needed, &http, now)
    };
    for _ in 0..20 {
        assert_eq!(caller(&viewer, Role::Viewer), Caller { role: Role::Viewer, proof: Proof::Session });
        assert_eq!(caller(&admin, Role::Admin), Caller { role: Role::Admin, proof: Proof::Session });
    }
    for _ in 0..10 {
        assert_eq!(caller(&viewer, Role::Admin).may(Role::Admin, &http), Err(Refusal::ViewersToken));
    }
    assert!(matches!(caller(&viewer, Role::Admin).may(Role::Admin, &http), Err(Refusal::Wait(_))));
}

#[test]
fn a_wrong_cookie_and_an_empty_token_are_no_guess() {
    let (http, now, authority) = (http(VIEW, ADMIN), Moment::now(), Authority::default());
    for _ in 0..20 {
        authority.caller(&get(Field::Cookie, "phsweb-8080=0"), Role::Admin, &http, now);
        authority.caller(&get(Field::Authorization, "Bearer "), Role::Admin, &http, now);
        authority.caller(&get(Field::Authorization, "Basic eA=="), Role::Admin, &http, now);
        assert_eq!(authority.answer(&form("token="), &http, now).unwrap().status, 401);
    }
    assert_eq!(
        authority.caller(&get(Field::Authorization, "Bearer a"), Role::Admin, &http, now).role,
        Role::Admin
    );
}

#[test]
fn a_refusal_says_what_is_missing() {
    let wait = Duration::from_secs(7);
    for (proof, needed, view, admin, expected, status) in [
        (Proof::Nothing, Role::Viewer, VIEW, ADMIN, Refusal::NoToken, 401),
        (Proof::Nothing, Role::Admin, VIEW, ADMIN, Refusal::NoToken, 401),
        (Proof::Wrong, Role::Viewer, VIEW, ADMIN, Refusal::WrongToken, 401),
        (Proof::HeldOff(wait), Role::Admin, VIEW, ADMIN, Refusal::Wait(wait), 429),
        (Proof::Bearer, Role::Admin, VIEW, ADMIN, Refusal::ViewersToken, 403),
        (Proof::Session, Role::Admin, VIEW, ADMIN, Refusal::ViewersToken, 403),
        (Proof::Nothing, Role::Admin, None, None, Refusal::Off, 403),
        (Proof::Wrong, Role::Admin, None, None, Refusal::Off, 403),
        (Proof::HeldOff(wait), Role::Admin, None, None, Refusal::Off, 403),
        (Proof::Session, Role::Admin, VIEW, None, Refusal::Off, 403),
    ] {
        let http = http(view, admin);
        let role = match proof {
            Proof::Bearer | Proof::Session => Role::Viewer,
            _ => Role::without_token(&http),
        };
        let refusal = Caller { role, proof }.may(needed, &http).unwrap_err();
        assert_eq!(refusal, expected, "{proof:?} {needed:?}");
        let problem = refusal.problem();
        assert_eq!((problem.status, problem.content_type), (status, "application/problem+json"));
        assert_eq!(header(&problem, "WWW-Authenticate"), if status == 401 { "Bearer" } else { "" });
        assert_eq!(header(&problem, "Retry-After"), if status == 429 { "7" } else { "" });
    }
}

#[test]
fn a_browser_is_refused_with_the_form() {
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
        for (refusal, status) in [(Refusal::NoToken, 401), (Refusal::ViewersToken, 403), (Refusal::Off, 403)]
        {
            let answer = refuse_page(&get(Field::Accept, accept), refusal, Caller::nobody(&http), &http);
            assert_eq!(answer.status, status, "{accept}");
            assert_eq!(answer.content_type.starts_with("text/html"), is_browser, "{accept}");
            assert_eq!(header(&answer, "WWW-Authenticate"), if status == 401 { "Bearer" } else { "" });
            let body = String::from_utf8(answer.body).unwrap();
            let has_form = is_browser && refusal != Refusal::Off;
            assert_eq!(body.contains("name=\"token\""), has_form, "{body}");
            assert_eq!(body.contains("value=\"/sites/awka\""), has_form, "{body}");
        }
    }
}

#[test]
fn the_form_answers() {
    let mistyped = with_body(request(Method::Post, "/login"), "token=a");
    let (get, delete) = (Method::Get, Method::Other);
    for (request, view, admin, status, location) in [
        (form("token=a&to=%2Fsites%2Fawka"), VIEW, ADMIN, 303, "./sites/awka"),
        (form("to=/&token=v"), VIEW, ADMIN, 303, "./"),
        (form("token=+a%20"), VIEW, ADMIN, 303, "./"),
        (
            form("token=a").with(Field::ContentType, "Application/X-WWW-Form-URLencoded;charset=UTF-8"),
            VIEW,
            ADMIN,
            303,
            "./",
        ),
        (form("token=v"), None, ADMIN, 401, ""),
        (form("token=%FF%00"), VIEW, ADMIN, 401, ""),
        (form("to=/"), VIEW, ADMIN, 401, ""),
        (form(""), VIEW, ADMIN, 401, ""),
        (form("Token=a"), VIEW, ADMIN, 401, ""),
        (form("token=b&token=a"), VIEW, ADMIN, 401, ""),
        (form("token=a"), None, None, 403, ""),
        (mistyped.clone(), VIEW, ADMIN, 415, ""),
        (mistyped.with(Field::ContentType, "application/json"), VIEW, ADMIN, 415, ""),
        (request(get, "/login?to=/sites/awka"), VIEW, ADMIN, 200, ""),
        (request(Method::Head, "/login"), VIEW, ADMIN, 200, ""),
        (request(get, "/login"), None, None, 200, ""),
        (request(delete, "/login"), VIEW, ADMIN, 405, ""),
        (request(get, "/logout"), VIEW, ADMIN, 405, ""),
        (request(delete, "/logout"), VIEW, ADMIN, 405, ""),
    ] {
        let answer = Authority::default().answer(&request, &http(view, admin), Moment::now()).unwrap();
        assert_eq!((answer.status, header(&answer, "Location")), (status, location), "{request:?}");
        assert_eq!(header(&answer, "Set-Cookie").is_empty(), status != 303, "{request:?}");
        assert_eq!(header(&answer, "Cache-Control"), "no-store", "{request:?}");
    }
    let none = Authority::default().answer(&request(get, "/login/"), &http(VIEW, ADMIN), Moment::now());
    assert!(none.is_none());
}

#[test]
fn a_login_leads_nowhere_else() {
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
        let sent = sent.append_pair("token", "a").append_pair("to", to).finish();
        let (authority, http, now) = (Authority::default(), http(VIEW, ADMIN), Moment::now());
        let answer = authority.answer(&form(&sent), &http, now).unwrap();
        let location = format!(".{expected}");
        assert_eq!((answer.status, header(&answer, "Location")), (303, location.as_str()), "{to:?}");
        // And what the form carries on.
        let page = authority.answer(&request(Method::Get, &format!("/login?{sent}")), &http, now).unwrap();
        let page = String::from_utf8(page.body).unwrap();
        let shown = format!("type=\"hidden\" value=\"{}\"", expected.replace('&', "&#38;"));
        assert!(page.contains(&shown), "{to:?}: {page}");
    }
}

#[test]
fn over_tls_a_cookie_is_for_tls_alone() {
    let (http, now) = (http(VIEW, ADMIN), Moment::now());
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates");
    let tls = Https::load(kept.join("page.cert.pem"), kept.join("page.key.pem")).ok();
    for (has_tls, is_https, name) in [
        (false, None, "phsweb-8080"),
        (true, None, "__Host-phsweb-8080"),
        // A trusted proxy says what the browser speaks.
        (false, Some(true), "__Secure-phsweb-8080"),
        (false, Some(false), "phsweb-8080"),
        (true, Some(true), "__Secure-phsweb-8080"),
        (true, Some(false), "phsweb-8080"),
    ] {
        let authority = Authority::default();
        let http = Http { tls: tls.clone().filter(|_| has_tls), ..http.clone() };
        let from_proxy = |mut request: Request| {
            request.is_https = is_https;
            request
        };
        let answer = authority.answer(&from_proxy(form("token=a")), &http, now).unwrap();
        let set = header(&answer, "Set-Cookie");
        assert!(set.starts_with(&format!("{name}=")), "{set}");
        for attribute in ["; HttpOnly", "; SameSite=Strict", "; Max-Age="] {
            assert!(set.contains(attribute), "{set}");
        }
        assert_eq!(set.contains("; Secure"), name.starts_with("__"), "{set}");
        // Below a proxy's path no other program is sent it.
        assert_eq!(set.contains("; Path=/"), name.starts_with("__Host-"), "{set}");
        assert_eq!(set.contains("Path"), name.starts_with("__Host-"), "{set}");
        let request = from_proxy(get(Field::Cookie, &cookie(&answer)));
        let caller = authority.caller(&request, Role::Admin, &http, now);
        assert_eq!(caller.role, Role::Admin);
    }
}

#[test]
fn a_page_says_who_reads_it() {
    let caller = |role, proof| Caller { role, proof };
    for (caller, view, admin, expected) in [
        (caller(Role::Viewer, Proof::Nothing), None, None, ""),
        (caller(Role::Viewer, Proof::Nothing), None, ADMIN, "login?to=%2Fsites%2Fa%26b"),
        (caller(Role::Viewer, Proof::Wrong), None, ADMIN, "login?to=%2Fsites%2Fa%26b"),
        (caller(Role::Viewer, Proof::Session), VIEW, ADMIN, "viewer, can leave"),
        (caller(Role::Admin, Proof::Session), VIEW, ADMIN, "admin, can leave"),
        (caller(Role::Admin, Proof::Bearer), VIEW, ADMIN, "admin"),
    ] {
        let shown = match caller.account(&http(view, admin), "/sites/a&b") {
            Account::None => String::new(),
            Account::Unknown { login } => login,
            Account::Known { is_admin, can_leave } => {
                let name = if is_admin { "admin" } else { "viewer" };
                format!("{name}{}", if can_leave { ", can leave" } else { "" })
            }
        };
        assert_eq!(shown, expected, "{caller:?}");
    }
}

#[test]
fn who_sees_something_else_has_another_tag() {
    let callers = [
        Caller { role: Role::Viewer, proof: Proof::Nothing },
        Caller { role: Role::Viewer, proof: Proof::Session },
        Caller { role: Role::Admin, proof: Proof::Bearer },
        Caller { role: Role::Admin, proof: Proof::Session },
    ];
    for (at, one) in callers.iter().enumerate() {
        assert!(callers[..at].iter().all(|other| other.tag() != one.tag()), "{one:?}");
    }
}
