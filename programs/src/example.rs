//! The programs that the example units run: each shows one way in which a service and its manager talk.
use std::fs;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::Duration;

/// `runstead example NAME [ARGUMENT...]`.
pub fn run(words: &[&str]) -> ExitCode {
    let result = match words {
        ["http"] => http(),
        ["notify"] => notify_service(),
        ["forking", pid_file] => forking(pid_file),
        ["forking-child"] => sleep_forever(),
        ["tick", file] => count(file).map(|_| ()),
        ["touch", file] => touch(file),
        ["say", text] => say(text),
        ["crash", file, times] => crash(file, times),
        _ => {
            return crate::usage::fail(
                "example: http, notify, forking FILE, tick FILE, touch FILE, say TEXT, crash FILE TIMES",
            );
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("runstead example {}: {error}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}

/// sd_notify(3) without a library: a datagram to `$NOTIFY_SOCKET`.
fn notify(state: &str) -> io::Result<()> {
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(()) };
    UnixDatagram::unbound()?.send_to(state.as_bytes(), Path::new(&path)).map(|_| ())
}

/// The descriptors passed by socket activation (sd_listen_fds(3)).
fn passed_descriptors() -> Vec<OwnedFd> {
    let mine = std::env::var("LISTEN_PID").is_ok_and(|pid| pid == std::process::id().to_string());
    let count: i32 = std::env::var("LISTEN_FDS").ok().and_then(|n| n.parse().ok()).unwrap_or(0);
    let last = if mine { 3_i32.saturating_add(count.clamp(0, 64)) } else { 3 };
    (3..last).filter_map(runstead_os::handover::inherited_fd).collect()
}

/// Answer every request with the same page, on the socket that was passed.
fn http() -> io::Result<()> {
    let Some(fd) = passed_descriptors().into_iter().next() else {
        return Err(io::Error::other("no socket was passed; start hello-http.socket instead"));
    };
    notify("READY=1\nSTATUS=answering")?;
    if runstead_os::handover::is_inet(&fd) {
        serve(TcpListener::from(fd).incoming());
    } else {
        serve(UnixListener::from(fd).incoming());
    }
    Ok(())
}

fn serve<S: Read + Write>(connections: impl Iterator<Item = io::Result<S>>) {
    for mut stream in connections.flatten() {
        let mut request = String::new();
        let mut reader = BufReader::new((&mut stream).take(8192));
        while reader.read_line(&mut request).is_ok_and(|n| n > 2) {}
        drop(reader);
        let body = "hello from a service that runstead started for you\n";
        let head =
            format!("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n", body.len());
        // A client that went away is not our trouble.
        let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
    }
}

/// Say READY, then feed the watchdog at half its interval.
fn notify_service() -> io::Result<()> {
    notify("READY=1\nSTATUS=feeding the watchdog")?;
    let interval =
        std::env::var("WATCHDOG_USEC").ok().and_then(|usec| usec.parse().ok()).unwrap_or(2_000_000);
    loop {
        thread::sleep(Duration::from_micros(interval / 2));
        notify("WATCHDOG=1")?;
    }
}

/// Leave a daemon behind and say who it is, as daemon(7) asks of the old style.
fn forking(pid_file: &str) -> io::Result<()> {
    let null = Stdio::null;
    let mut command = Command::new("/proc/self/exe");
    command.args(["example", "forking-child"]).stdin(null()).stdout(null()).stderr(null());
    let child = runstead_os::process::by_fork(&mut command).spawn()?;
    fs::write(pid_file, format!("{}\n", child.id()))
}

fn sleep_forever() -> io::Result<()> {
    loop {
        thread::sleep(Duration::from_secs(3600));
    }
}

/// Count in a file how often we ran; returns the new count.
fn count(file: &str) -> io::Result<u32> {
    let before = fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0_u32);
    let now = before.saturating_add(1);
    fs::write(file, format!("{now}\n"))?;
    Ok(now)
}

fn touch(file: &str) -> io::Result<()> {
    if let Some(parent) = Path::new(file).parent() {
        fs::create_dir_all(parent)?;
    }
    fs::write(file, "")
}

fn say(text: &str) -> io::Result<()> {
    println!("{text}");
    Ok(())
}

/// Die by `SIGABRT` for the first `times` runs, then stay.
fn crash(file: &str, times: &str) -> io::Result<()> {
    let limit: u32 = times.parse().map_err(io::Error::other)?;
    let run = count(file)?;
    if run <= limit {
        eprintln!("crashing on purpose ({run} of {limit})");
        std::process::abort();
    }
    sleep_forever()
}
