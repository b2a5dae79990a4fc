//! Restart in place after a panic. The real program can't be made to panic, so this one takes its place: it runs itself
//! as `program`, which executes a long-running command like `main` does, and panics on request.

// The other targets use the rest of it.
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
use phsweb_agent::agent;
use phsweb_agent::executor;
use phsweb_agent::logging;
use phsweb_agent::timings::TEST_VARIABLE;

/// Timeout of a test.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Maximum time for the program to end.
const END: Duration = Duration::from_secs(2);

/// The wait before the second restart in a row, in milliseconds.
const RESTART_MIN_MS: u64 = 250;

/// The message of a panic, with characters that a log line escapes.
const MESSAGE: &str = "on \"purpose\"\nfor a test";

/// Lines in the queue of the log at the panic.
const LINES: usize = 200;

/// The log line of a restart contains this.
const RESTARTING: &str = "; restarting\"";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some("program") {
        program(&arguments.next().unwrap());
        return ExitCode::SUCCESS;
    }
    let tests: [(&str, fn()); 10] = [
        ("a_panic_in_any_thread_restarts_the_program", a_panic_in_any_thread_restarts_the_program),
        ("all_lines_logged_before_the_panic_are_written", all_lines_logged_before_the_panic_are_written),
        (
            "a_blocked_or_closed_log_delays_the_restart_only_briefly",
            a_blocked_or_closed_log_delays_the_restart_only_briefly,
        ),
        ("concurrent_panics_cause_one_restart", concurrent_panics_cause_one_restart),
        ("the_wait_before_a_restart_grows", the_wait_before_a_restart_grows),
        ("a_signal_during_the_wait_ends_the_program", a_signal_during_the_wait_ends_the_program),
        ("panics_during_the_wait_do_not_shorten_it", panics_during_the_wait_do_not_shorten_it),
        ("after_an_upgrade_the_new_program_is_executed", after_an_upgrade_the_new_program_is_executed),
        ("a_removed_program_ends_with_an_error", a_removed_program_ends_with_an_error),
        ("a_panic_during_shutdown_causes_no_restart", a_panic_during_shutdown_causes_no_restart),
    ];
    let trial = |(name, test): (&str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    libtest_mimic::run(&Arguments::from_args(), tests.into_iter().map(trial).collect()).exit_code()
}

/// Listens at an address, prints a line about itself, and executes the instruction that it reads.
fn program(address: &str) {
    let open = descriptors();
    logging::start(None);
    let done = agent::run_restarting(|_signals, _timings| {
        let _listener = TcpListener::bind(address).map_err(|error| error.to_string())?;
        // An agent also has an epoll, an eventfd, and threads.
        executor::spawn(async {}).detach();
        // The test may kill it after the line is printed.
        log::logger().flush();
        let arguments: Vec<String> = std::env::args().collect();
        println!("{} {open} {arguments:?}", std::process::id());
        let mut instruction = String::new();
        io::stdin().read_line(&mut instruction).unwrap();
        execute(instruction.trim());
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
    // The descriptor of the listing itself is closed by the time of the check.
    let all = fs::read_dir("/proc/self/fd").unwrap().map(|entry| entry.unwrap().path());
    let open: BTreeSet<PathBuf> = all.collect::<Vec<_>>().into_iter().filter(|path| path.exists()).collect();
    let names = open.iter().filter_map(|path| path.file_name()?.to_str());
    names.collect::<Vec<_>>().join(",")
}

fn execute(instruction: &str) {
    match instruction {
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
            agent::disarm();
            panic!("{MESSAGE}");
        }
        unknown => println!("unknown instruction {unknown}"),
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
        // With a name that is not its path.
        Self::of(Command::new(std::env::current_exe().unwrap()).arg0("agent").stderr(Stdio::piped()))
    }

    fn of(command: &mut Command) -> Self {
        // The program binds the address again after a restart, so no other process may get it in between.
        let address = TcpListener::bind((address::unique_host(), 0)).unwrap().local_addr().unwrap();
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

    /// The line that it prints after each start.
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }

    fn instruct(&mut self, instruction: &str) {
        writeln!(self.child.stdin.as_mut().unwrap(), "{instruction}").unwrap();
    }

    fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Waits until it ends, and returns its status and log.
    fn ended(mut self, timeout: Duration) -> (ExitStatus, String) {
        let began = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(began.elapsed() < timeout, "the program did not end within {timeout:?}");
            thread::sleep(Duration::from_millis(5));
        };
        (status, self.log.take().map(|log| log.join().unwrap()).unwrap_or_default())
    }

    fn killed(mut self) -> String {
        self.child.kill().unwrap();
        self.ended(TIMEOUT).1
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // Fails if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn a_panic_in_any_thread_restarts_the_program() {
    for (instruction, thread) in
        [("main", "main"), ("thread", "worker"), ("task", "executor"), ("unblock", "blocking-1")]
    {
        let mut program = Program::start();
        let first = program.line();
        // The list may include descriptors that this test inherited.
        assert!(first.starts_with(&format!("{} 0,1,", program.child.id())), "{first}");
        // Twice: the new program must keep everything that a restart needs.
        for _ in 0..2 {
            let client = TcpStream::connect(program.address).unwrap();
            program.instruct(instruction);
            assert_eq!(program.line(), first, "{instruction}");
            drop(client);
        }
        TcpStream::connect(program.address).unwrap();
        let log = program.killed();
        let panicked = format!("thread={thread} at=tests/restart.rs:");
        assert_eq!(log.matches(&panicked).count(), 2, "{instruction}: {log}");
        assert_eq!(log.matches(r#" panic="on \"purpose\"\nfor a test" "#).count(), 2, "{log}");
        assert!([1, 2].iter().all(|count| log.contains(&format!("restarts_in_a_row={count} "))), "{log}");
    }
}

fn all_lines_logged_before_the_panic_are_written() {
    let mut program = Program::start();
    let first = program.line();
    program.instruct("lines");
    assert_eq!(program.line(), first);
    let log = program.killed();
    let mut rest = &log[..];
    for number in 0..LINES {
        rest = rest.split_once(&format!("line {number}\n")).unwrap_or_else(|| panic!("{number}: {log}")).1;
    }
    assert!(rest.contains(RESTARTING) && rest.contains("restarts_in_a_row=1 "), "{log}");
}

/// A pipe without room for another byte.
fn full_pipe() -> (io::PipeReader, PipeWriter) {
    let (reader, mut writer) = pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    while writer.write(&[0]).is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

fn a_blocked_or_closed_log_delays_the_restart_only_briefly() {
    let (_reader, full) = full_pipe();
    let (reader, closed) = pipe().unwrap();
    drop(reader);
    let disk = File::options().write(true).open("/dev/full").unwrap();
    for stderr in [Stdio::from(full), closed.into(), disk.into()] {
        let mut program = Program::of(Command::new(std::env::current_exe().unwrap()).stderr(stderr));
        let first = program.line();
        let began = Instant::now();
        program.instruct("lines");
        assert_eq!(program.line(), first);
        assert!(began.elapsed() < END, "{:?}", began.elapsed());
    }
}

fn concurrent_panics_cause_one_restart() {
    // Repeated, because the threads do not always panic at the same time.
    for _ in 0..10 {
        let mut program = Program::start();
        let first = program.line();
        program.instruct("together");
        assert_eq!(program.line(), first);
        let log = program.killed();
        assert_eq!(log.matches(RESTARTING).count(), 1, "{log}");
        assert_eq!(log.matches("restarts_in_a_row=").count(), 1, "{log}");
    }
}

fn the_wait_before_a_restart_grows() {
    let mut program = Program::start();
    let first = program.line();
    let waits = [0, RESTART_MIN_MS, 2 * RESTART_MIN_MS].map(Duration::from_millis);
    for wait in waits {
        let began = Instant::now();
        program.instruct("main");
        assert_eq!(program.line(), first);
        assert!(began.elapsed() >= wait, "{:?}", began.elapsed());
    }
    let log = program.killed();
    let logged: Vec<&str> =
        log.split(" wait=").skip(1).map(|rest| rest.split(" msg").next().unwrap()).collect();
    assert_eq!(logged, waits.map(|wait| humantime::format_duration(wait).to_string()));
}

fn a_signal_during_the_wait_ends_the_program() {
    for signal in ["TERM", "INT"] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut program = Program::of(command.env(agent::RESTARTS, "100").stderr(Stdio::piped()));
        until_received(program.child.id());
        // A request to reload does not end the wait.
        program.signal("HUP");
        program.signal(signal);
        assert_eq!(program.line(), "");
        let (status, log) = program.ended(END);
        assert_eq!(status.code(), Some(0), "{status}: {log}");
        assert!(log.contains("restarts_in_a_row=100 wait=1m "), "{log}");
        assert!(log.contains("msg=\"shutting down\""), "{log}");
    }
}

fn panics_during_the_wait_do_not_shorten_it() {
    let own = Program::start().line();
    let open: Vec<usize> = own.split(' ').nth(1).unwrap().split(',').map(|fd| fd.parse().unwrap()).collect();
    // Enough descriptors for the log and the signals, but not for the command.
    let limit = (3..).filter(|fd| !open.contains(fd)).nth(5).unwrap();
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!(r#"ulimit -n {limit}; exec "$0" "$@""#)])
        .arg(std::env::current_exe().unwrap());
    let program = Program::of(command.env(agent::RESTARTS, "2").stderr(Stdio::piped()));
    // During the fourth wait.
    thread::sleep(Duration::from_millis(4 * RESTART_MIN_MS));
    program.signal("TERM");
    let (status, log) = program.ended(END);
    assert_eq!(status.signal(), Some(15), "{status}: {log}");
    assert!((2..=3).contains(&log.matches(RESTARTING).count()), "{log}");
}

/// Waits until the process handles SIGTERM itself.
fn until_received(id: u32) {
    let began = Instant::now();
    loop {
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        if u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << (15 - 1)) != 0 {
            return;
        }
        assert!(began.elapsed() < TIMEOUT);
        thread::sleep(Duration::from_millis(5));
    }
}

/// This program under another name, in a folder that permits execution.
fn installed(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    // It may exist from an earlier run.
    let _ = fs::remove_file(&path);
    fs::hard_link(std::env::current_exe().unwrap(), &path).unwrap();
    path
}

fn after_an_upgrade_the_new_program_is_executed() {
    let path = installed("upgraded");
    let mut program = Program::of(Command::new(&path).stderr(Stdio::piped()));
    let first = program.line();
    installed("upgraded");
    program.instruct("thread");
    assert_eq!(program.line(), first);
    let running = fs::read_link(format!("/proc/{}/exe", program.child.id())).unwrap();
    assert_eq!(running.file_name(), Some(OsStr::new("upgraded")), "{}", running.display());
}

fn a_removed_program_ends_with_an_error() {
    let path = installed("removed");
    let mut program = Program::of(Command::new(&path).stderr(Stdio::piped()));
    program.line();
    fs::remove_file(&path).unwrap();
    program.instruct("thread");
    assert_eq!(program.line(), "");
    let (status, log) = program.ended(END);
    assert_eq!(status.signal(), Some(6), "{status}");
    assert!(log.lines().last().unwrap().starts_with("can't restart: No such file"), "{log}");
    assert!(log.contains(RESTARTING), "{log}");
}

fn a_panic_during_shutdown_causes_no_restart() {
    let mut program = Program::start();
    program.line();
    program.instruct("end");
    assert_eq!(program.line(), "");
    let (status, log) = program.ended(END);
    assert!(!status.success() && !log.contains(RESTARTING), "{status}: {log}");
}
