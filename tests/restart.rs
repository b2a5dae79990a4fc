//! A panic costs a restart in place. The real program can't be made to panic, so this one stands for it: it runs
//! itself as `program`, which does what `main` does with a command that lasts, and panics when told to.

// What it has for the other targets is not used here.
#[allow(dead_code)]
#[path = "support/address.rs"]
mod address;

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, PipeWriter, Read, Write, pipe};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, ExitStatus, Stdio};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Trial};
use phsweb_agent::command::restart;
use phsweb_agent::executor;
use phsweb_agent::logging;
use phsweb_agent::timings::TEST_VARIABLE;

/// After this a test has waited in vain.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the end may take.
const END: Duration = Duration::from_secs(2);

/// Tells how often in a row it has started anew.
const TIMES: &str = "PHSWEB_AGENT_ANEW";

/// The wait before the second restart in a row, in milliseconds.
const RESTART_MIN_MS: u64 = 250;

/// What a panic says: more than a log line may have as it is.
const MESSAGE: &str = "on \"purpose\"\nfor a test";

/// Lines that are on their way when it panics.
const LINES: usize = 200;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("program") {
        program(&arguments.next().unwrap());
        return ExitCode::SUCCESS;
    }
    let tests: [(&str, fn()); 10] = [
        ("it_comes_back_whichever_thread_panics", it_comes_back_whichever_thread_panics),
        ("all_that_was_said_before_comes_out", all_that_was_said_before_comes_out),
        ("who_does_not_read_holds_it_up_for_a_moment_only", who_does_not_read_holds_it_up_for_a_moment_only),
        ("threads_that_panic_together_start_one_program", threads_that_panic_together_start_one_program),
        ("the_wait_before_a_start_grows", the_wait_before_a_start_grows),
        ("a_signal_ends_the_wait", a_signal_ends_the_wait),
        ("who_can_not_even_wait_does_not_spin", who_can_not_even_wait_does_not_spin),
        ("after_an_upgrade_the_new_program_starts", after_an_upgrade_the_new_program_starts),
        ("a_program_that_is_gone_ends", a_program_that_is_gone_ends),
        ("who_is_to_end_does_not_come_back", who_is_to_end_does_not_come_back),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().map(trial).collect()).exit_code()
}

/// Listens at an address, says what it is, and does as it is told.
fn program(address: &str) {
    let open = descriptors();
    logging::start(None);
    let done = restart::run_restarting(|_signals, _timings| {
        let _listener = TcpListener::bind(address).map_err(|error| error.to_string())?;
        // What else an agent has: an epoll, an eventfd, threads.
        executor::spawn(async {}).detach();
        // It may be killed as soon as it has said that it is there.
        log::logger().flush();
        let arguments: Vec<String> = std::env::args().collect();
        println!("{} {open} {arguments:?}", std::process::id());
        let mut order = String::new();
        io::stdin().read_line(&mut order).unwrap();
        obey(order.trim());
        loop {
            thread::park();
        }
    });
    logging::end();
    if let Err(failure) = done {
        println!("{failure:?}");
    }
}

fn descriptors() -> String {
    // The one that they are listed through is not there any more when they are looked at.
    let all = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let open: BTreeSet<PathBuf> = all.collect::<Vec<_>>().into_iter().filter(|path| path.exists()).collect();
    let names = open.iter().filter_map(|path| path.file_name()?.to_str());
    names.collect::<Vec<_>>().join(",")
}

fn obey(order: &str) {
    match order {
        "main" => panic!("{MESSAGE}"),
        "thread" => drop(thread::Builder::new().name("worker".into()).spawn(|| panic!("{MESSAGE}")).unwrap()),
        "task" => executor::spawn(async { panic!("{MESSAGE}") }).detach(),
        "unblock" => smol::unblock(|| panic!("{MESSAGE}")).detach(),
        "together" => {
            let together = Arc::new(Barrier::new(8));
            for _ in 0..8 {
                let together = together.clone();
                thread::spawn(move || {
                    together.wait();
                    panic!("{MESSAGE}");
                });
            }
        }
        "lines" => {
            for number in 0..LINES {
                log::info!("line {number}");
            }
            panic!("{MESSAGE}");
        }
        "end" => {
            restart::disarm();
            panic!("{MESSAGE}");
        }
        order => println!("what is {order}?"),
    }
}

struct Program {
    child: Child,
    lines: BufReader<ChildStdout>,
    log: Option<JoinHandle<String>>,
    address: SocketAddr,
}

impl Program {
    fn start() -> Self {
        // By a name that is not where it is.
        Self::of(Command::new(std::env::current_exe().unwrap()).arg0("agent").stderr(Stdio::piped()))
    }

    fn of(command: &mut Command) -> Self {
        // It must get the address again, so nobody else may get it meanwhile.
        let address = TcpListener::bind((address::own_host(), 0)).unwrap().local_addr().unwrap();
        command.args(["program", &address.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        command.env(TEST_VARIABLE, format!("restart_min={RESTART_MIN_MS}ms"));
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let log = child.stderr.take().map(|mut stderr| {
            thread::spawn(move || {
                let mut log = String::new();
                stderr.read_to_string(&mut log).unwrap();
                log
            })
        });
        Self { child, lines, log, address }
    }

    /// What it says of itself once it has started.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    fn tell(&mut self, order: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{order}").unwrap();
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// How it ended, within this time, and what it logged.
    fn ended(mut self, most: Duration) -> (ExitStatus, String) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < most, "it did not end within {most:?}");
            thread::sleep(Duration::from_millis(5));
        };
        (status, self.log.take().map(|log| log.join().unwrap()).unwrap_or_default())
    }

    fn killed(mut self) -> String {
        self.child.kill().unwrap();
        self.ended(PATIENCE).1
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn it_comes_back_whichever_thread_panics() {
    for (order, thread) in
        [("main", "main"), ("thread", "worker"), ("task", "executor"), ("unblock", "blocking-1")]
    {
        let mut program = Program::start();
        let first = program.line();
        // With descriptors that are handed down to this test, too.
        assert!(first.starts_with(&format!("{} 0,1,", program.child.id())), "{first}");
        // More than once: all that it needs for that must come along.
        for _ in 0..2 {
            let client = TcpStream::connect(program.address).unwrap();
            program.tell(order);
            assert_eq!(program.line(), first, "{order}");
            drop(client);
        }
        TcpStream::connect(program.address).unwrap();
        let log = program.killed();
        let told = format!("starting anew: thread \"{thread}\" panicked at tests/restart.rs:");
        assert_eq!(log.matches(&told).count(), 2, "{order}: {log}");
        assert_eq!(log.matches(r#": "on \"purpose\"\nfor a test""#).count(), 2, "{log}");
        assert!(log.contains("1 in a row") && log.contains("2 in a row"), "{log}");
    }
}

fn all_that_was_said_before_comes_out() {
    let mut program = Program::start();
    let first = program.line();
    program.tell("lines");
    assert_eq!(program.line(), first);
    let log = program.killed();
    let mut rest = &log[..];
    for number in 0..LINES {
        rest = rest.split_once(&format!("line {number}\n")).unwrap_or_else(|| panic!("{number}: {log}")).1;
    }
    assert!(rest.contains("starting anew: ") && rest.contains("1 in a row"), "{log}");
}

/// A pipe that takes not one byte more.
fn full_pipe() -> (io::PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[0]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

fn who_does_not_read_holds_it_up_for_a_moment_only() {
    let (_reader, full) = full_pipe();
    let (gone, nobodys) = pipe().unwrap();
    drop(gone);
    let disk = File::options().write(true).open("/dev/full").unwrap();
    for stderr in [Stdio::from(full), nobodys.into(), disk.into()] {
        let mut program = Program::of(Command::new(std::env::current_exe().unwrap()).stderr(stderr));
        let first = program.line();
        let began = Instant::now();
        program.tell("lines");
        assert_eq!(program.line(), first);
        assert!(began.elapsed() < END, "{:?}", began.elapsed());
    }
}

fn threads_that_panic_together_start_one_program() {
    // More than once: they need not come together the first time.
    for _ in 0..10 {
        let mut program = Program::start();
        let first = program.line();
        program.tell("together");
        assert_eq!(program.line(), first);
        let log = program.killed();
        assert_eq!(log.matches("starting anew: ").count(), 1, "{log}");
        assert_eq!(log.matches("in a row").count(), 1, "{log}");
    }
}

fn the_wait_before_a_start_grows() {
    let mut program = Program::start();
    let first = program.line();
    let waits = [0, RESTART_MIN_MS, 2 * RESTART_MIN_MS].map(Duration::from_millis);
    for wait in waits {
        let began = Instant::now();
        program.tell("main");
        assert_eq!(program.line(), first);
        assert!(began.elapsed() >= wait, "{:?}", began.elapsed());
    }
    let log = program.killed();
    let told: Vec<&str> =
        log.split("; waiting ").skip(1).map(|rest| rest.split(" first").next().unwrap()).collect();
    assert_eq!(told, waits.map(|wait| humantime::format_duration(wait).to_string()));
}

fn a_signal_ends_the_wait() {
    for signal in ["TERM", "INT"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut program = Program::of(command.env(TIMES, "100").stderr(Stdio::piped()));
        until_received(program.child.id());
        // It is not over because there is a file to be read.
        program.signal("HUP");
        program.signal(signal);
        assert_eq!(program.line(), "");
        let (status, log) = program.ended(END);
        assert_eq!(status.code(), Some(0), "{status}: {log}");
        assert!(log.contains("100 in a row; waiting 1m first"), "{log}");
        assert!(log.contains("ending: "), "{log}");
    }
}

fn who_can_not_even_wait_does_not_spin() {
    let own = Program::start().line();
    let open: Vec<usize> = own.split(' ').nth(1).unwrap().split(',').map(|fd| fd.parse().unwrap()).collect();
    // Descriptors for the log and the signals, and none to wait with.
    let limit = (3..).filter(|fd| !open.contains(fd)).nth(5).unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!(r#"ulimit -n {limit}; exec "$0" "$@""#)])
        .arg(std::env::current_exe().unwrap());
    let program = Program::of(command.env(TIMES, "2").stderr(Stdio::piped()));
    // After the second wait, the third and a part of the fourth.
    thread::sleep(Duration::from_millis(4 * RESTART_MIN_MS));
    program.signal("TERM");
    let (status, log) = program.ended(END);
    assert_eq!(status.signal(), Some(15), "{status}: {log}");
    assert!((2..=3).contains(&log.matches("starting anew: ").count()), "{log}");
}

/// Waits until it receives SIGTERM itself.
fn until_received(id: u32) {
    let began = Instant::now();
    loop {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        if u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (15 - 1)) != 0 {
            return;
        }
        assert!(began.elapsed() < PATIENCE);
        thread::sleep(Duration::from_millis(5));
    }
}

/// A program of this name, in a folder that can hold what runs.
fn installed(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // It may be there from the last time.
    let _ = fs::remove_file(&path);
    fs::hard_link(std::env::current_exe().unwrap(), &path).unwrap();
    path
}

fn after_an_upgrade_the_new_program_starts() {
    let path = installed("upgraded");
    let mut program = Program::of(Command::new(&path).stderr(Stdio::piped()));
    let first = program.line();
    installed("upgraded");
    program.tell("thread");
    assert_eq!(program.line(), first);
    let running = fs::read_link(format!("/proc/{}/exe", program.child.id())).unwrap();
    assert_eq!(running.file_name(), Some(OsStr::new("upgraded")), "{}", running.display());
}

fn a_program_that_is_gone_ends() {
    let path = installed("removed");
    let mut program = Program::of(Command::new(&path).stderr(Stdio::piped()));
    program.line();
    fs::remove_file(&path).unwrap();
    program.tell("thread");
    assert_eq!(program.line(), "");
    let (status, log) = program.ended(END);
    assert_eq!(status.signal(), Some(6), "{status}");
    assert!(log.lines().last().unwrap().starts_with("can't start anew: No such file"), "{log}");
    assert!(log.contains("starting anew: thread"), "{log}");
}

fn who_is_to_end_does_not_come_back() {
    let mut program = Program::start();
    program.line();
    program.tell("end");
    assert_eq!(program.line(), "");
    let (status, log) = program.ended(END);
    assert!(!status.success() && !log.contains("anew: "), "{status}: {log}");
}
