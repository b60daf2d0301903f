//! Opens a PAM session for the process it runs in, leaves a child that closes it, and goes on with the rest of the spawn.
//!
//! ```text
//! (NAME) SERVICE USER TTY UID GID EXE PROGRAM
//! ```
//! It is executed in the middle of a spawn (`spawn/pam.rs`), as root. EXE and PROGRAM are descriptors: the manager's image and
//! the steps that are left. The environment becomes PAM's, and PAM's the process's, as sd-pam of the reference does it.
//! Exit status 224 (`EXIT_PAM`) says that there is no session.
//!
//! Standalone and without the standard library: `build.rs` compiles it by itself.
#![no_std]
#![no_main]

use core::ffi::{CStr, c_char, c_int, c_long, c_uint, c_ulong, c_void};
use core::ptr::{null, null_mut};

#[link(name = "c")]
unsafe extern "C" {
    static environ: *const *const c_char;
    fn dlopen(name: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
    fn write(fd: c_int, bytes: *const c_void, length: usize) -> isize;
    fn fork() -> c_int;
    fn getpid() -> c_int;
    fn getppid() -> c_int;
    fn setgroups(count: usize, list: *const c_uint) -> c_int;
    fn setresgid(real: c_uint, effective: c_uint, saved: c_uint) -> c_int;
    fn setresuid(real: c_uint, effective: c_uint, saved: c_uint) -> c_int;
    fn prctl(option: c_int, ...) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn syscall(number: c_long, ...) -> c_long;
    fn execve(path: *const c_char, argv: *const *const c_char, envp: *const *const c_char) -> c_int;
    fn sigprocmask(how: c_int, set: *const SigSet, old: *mut SigSet) -> c_int;
    fn sigwait(set: *const SigSet, signal: *mut c_int) -> c_int;
    fn atoi(text: *const c_char) -> c_int;
    fn strlen(text: *const c_char) -> usize;
    fn memset(at: *mut c_void, byte: c_int, length: usize) -> *mut c_void;
    fn memcpy(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void;
    fn _exit(status: c_int) -> !;
}

/// `sigset_t` of the C library: 1024 bits.
#[repr(C)]
struct SigSet([c_ulong; 16]);

const SIGTERM: c_int = 15;
const SIG_BLOCK: c_int = 0;
const SIG_SETMASK: c_int = 2;
const PR_SET_PDEATHSIG: c_int = 1;
const PR_SET_NAME: c_int = 15;
const PR_SET_MM: c_int = 35;
const PR_SET_MM_ARG_END: c_ulong = 9;
const F_SETFD: c_int = 2;
const FD_CLOEXEC: c_int = 1;
const RTLD_NOW: c_int = 2;
const SYS_CLOSE_RANGE: c_long = 436;

/// `EXIT_PAM`.
const NO_SESSION: c_int = 224;
/// `EXIT_EXEC`.
const NO_EXEC: c_int = 203;

// security/_pam_types.h
const PAM_SUCCESS: c_int = 0;
const PAM_CONV_ERR: c_int = 19;
const PAM_TTY: c_int = 3;
const PAM_ESTABLISH_CRED: c_int = 2;
const PAM_DELETE_CRED: c_int = 4;
const PAM_SILENT: c_int = 0x8000;
const PAM_DATA_SILENT: c_int = 0x4000_0000;

/// `struct pam_conv`: nobody is there to be asked.
#[repr(C)]
struct Conversation {
    ask: extern "C" fn(c_int, *mut c_void, *mut c_void, *mut c_void) -> c_int,
    data: *mut c_void,
}

extern "C" fn nobody(_: c_int, _: *mut c_void, _: *mut c_void, _: *mut c_void) -> c_int {
    PAM_CONV_ERR
}

type Handle = *mut c_void;

/// The functions of libpam that are used.
struct Pam {
    start: unsafe extern "C" fn(*const c_char, *const c_char, *const Conversation, *mut Handle) -> c_int,
    set_item: unsafe extern "C" fn(Handle, c_int, *const c_void) -> c_int,
    putenv: unsafe extern "C" fn(Handle, *const c_char) -> c_int,
    acct_mgmt: unsafe extern "C" fn(Handle, c_int) -> c_int,
    setcred: unsafe extern "C" fn(Handle, c_int) -> c_int,
    open_session: unsafe extern "C" fn(Handle, c_int) -> c_int,
    close_session: unsafe extern "C" fn(Handle, c_int) -> c_int,
    getenvlist: unsafe extern "C" fn(Handle) -> *mut *mut c_char,
    strerror: unsafe extern "C" fn(Handle, c_int) -> *const c_char,
    end: unsafe extern "C" fn(Handle, c_int) -> c_int,
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: ends the process.
    unsafe { _exit(NO_SESSION) }
}

/// The core library is compiled for unwinding, which never happens here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

fn say(parts: &[&CStr]) {
    for part in parts {
        let bytes = part.to_bytes();
        // SAFETY: the bytes live for the call.
        unsafe { write(2, bytes.as_ptr().cast(), bytes.len()) };
    }
    // SAFETY: as above.
    unsafe { write(2, c"\n".as_ptr().cast(), 1) };
}

fn fail(parts: &[&CStr], status: c_int) -> ! {
    say(parts);
    // SAFETY: ends the process.
    unsafe { _exit(status) }
}

fn load() -> Pam {
    // SAFETY: a C string; the library stays loaded.
    let library = unsafe { dlopen(c"libpam.so.0".as_ptr(), RTLD_NOW) };
    if library.is_null() {
        fail(&[c"PAMName=: libpam.so.0 is not installed (package libpam0g)"], NO_SESSION);
    }
    let symbol = |name: &CStr| {
        // SAFETY: a loaded library and a C string.
        let found = unsafe { dlsym(library, name.as_ptr()) };
        if found.is_null() {
            fail(&[c"PAMName=: libpam.so.0 has no ", name], NO_SESSION);
        }
        found
    };
    // SAFETY: pam(3) declares these functions so; none is null.
    unsafe {
        use core::mem::transmute as function;
        Pam {
            start: function::<*mut c_void, _>(symbol(c"pam_start")),
            set_item: function::<*mut c_void, _>(symbol(c"pam_set_item")),
            putenv: function::<*mut c_void, _>(symbol(c"pam_putenv")),
            acct_mgmt: function::<*mut c_void, _>(symbol(c"pam_acct_mgmt")),
            setcred: function::<*mut c_void, _>(symbol(c"pam_setcred")),
            open_session: function::<*mut c_void, _>(symbol(c"pam_open_session")),
            close_session: function::<*mut c_void, _>(symbol(c"pam_close_session")),
            getenvlist: function::<*mut c_void, _>(symbol(c"pam_getenvlist")),
            strerror: function::<*mut c_void, _>(symbol(c"pam_strerror")),
            end: function::<*mut c_void, _>(symbol(c"pam_end")),
        }
    }
}

/// What the command line says.
struct Request {
    service: *const c_char,
    user: *const c_char,
    tty: *const c_char,
    uid: c_uint,
    gid: c_uint,
    exe: c_int,
    program: *const c_char,
}

#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *mut *mut c_char) -> c_int {
    if argc != 8 {
        fail(&[c"pam-session is executed by the manager only"], NO_SESSION);
    }
    // SAFETY: argv has argc C strings.
    let word = |n: usize| unsafe { (*argv.add(n)).cast_const() };
    // SAFETY: C strings.
    let number = |n: usize| unsafe { atoi(word(n)) };
    let request = Request {
        service: word(1),
        user: word(2),
        tty: word(3),
        uid: number(4) as c_uint,
        gid: number(5) as c_uint,
        exe: number(6),
        program: word(7),
    };
    let pam = load();
    let handle = open(&pam, &request);
    // SAFETY: an open session's handle.
    let environment = unsafe { (pam.getenvlist)(handle) };
    if environment.is_null() {
        fail(&[c"PAMName=: no memory for the environment"], NO_SESSION);
    }
    leave_behind(&pam, handle, &request, argc, argv);
    go_on(&request, environment.cast_const().cast())
}

fn open(pam: &Pam, request: &Request) -> Handle {
    let conversation = Conversation { ask: nobody, data: null_mut() };
    let mut handle = null_mut();
    // SAFETY: C strings of the command line; the conversation is kept by libpam as a copy.
    let started = unsafe { (pam.start)(request.service, request.user, &raw const conversation, &raw mut handle) };
    check(pam, handle, c"pam_start", started);
    // SAFETY: C strings, of which libpam makes copies; the environment ends with a null pointer.
    unsafe {
        if *request.tty != 0 {
            check(pam, handle, c"pam_set_item", (pam.set_item)(handle, PAM_TTY, request.tty.cast()));
        }
        let mut at = environ;
        while !(*at).is_null() {
            check(pam, handle, c"pam_putenv", (pam.putenv)(handle, *at));
            at = at.add(1);
        }
    }
    // SAFETY: a started handle.
    check(pam, handle, c"account", unsafe { (pam.acct_mgmt)(handle, PAM_SILENT) });
    // As the reference: credentials that cannot be had (a Kerberos server that is away) are no reason not to start.
    // SAFETY: as above.
    let _ = unsafe { (pam.setcred)(handle, PAM_ESTABLISH_CRED | PAM_SILENT) };
    // SAFETY: as above.
    let opened = unsafe { (pam.open_session)(handle, PAM_SILENT) };
    if opened != PAM_SUCCESS {
        // SAFETY: as above.
        let _ = unsafe { (pam.setcred)(handle, PAM_DELETE_CRED | PAM_SILENT) };
    }
    check(pam, handle, c"session", opened);
    handle
}

fn check(pam: &Pam, handle: Handle, what: &CStr, code: c_int) {
    if code == PAM_SUCCESS {
        return;
    }
    // SAFETY: gives a C string, or null, for any code.
    let why = unsafe { (pam.strerror)(handle, code) };
    // SAFETY: as above.
    let why = if why.is_null() { c"unknown error" } else { unsafe { CStr::from_ptr(why) } };
    if !handle.is_null() {
        // SAFETY: a started handle, not used afterwards.
        unsafe { (pam.end)(handle, code) };
    }
    fail(&[c"PAMName=: ", what, c": ", why], NO_SESSION);
}

/// A child that waits for our end and closes the session then; `ps` shows it under the reference's name.
fn leave_behind(pam: &Pam, handle: Handle, request: &Request, argc: c_int, argv: *mut *mut c_char) {
    let mut terminate = SigSet([0; 16]);
    terminate.0[0] = 1 << (SIGTERM - 1);
    let mut old = SigSet([0; 16]);
    // SAFETY: no pointers but those to the two sets.
    let (parent, child) = unsafe {
        sigprocmask(SIG_BLOCK, &raw const terminate, &raw mut old);
        (getpid(), fork())
    };
    match child {
        0 => {
            rename(argc, argv);
            wait_and_close(pam, handle, request, parent, &terminate)
        }
        ..0 => fail(&[c"PAMName=: no process for the end of the session"], NO_SESSION),
        // SAFETY: the set that was there.
        _ => unsafe {
            sigprocmask(SIG_SETMASK, &raw const old, null_mut());
        },
    }
}

/// Overwrite the command line.
fn rename(argc: c_int, argv: *mut *mut c_char) {
    const NAME: &CStr = c"(sd-pam)";
    // SAFETY: the kernel puts the arguments one behind the other; from the first byte of the first to the end of the last all
    // is ours, and they are longer than the name.
    unsafe {
        let first = *argv;
        let last = *argv.add(argc as usize - 1);
        let end = last.add(strlen(last));
        let room = end.offset_from(first) as usize;
        memset(first.cast(), 0, room);
        let length = NAME.count_bytes().min(room);
        memcpy(first.cast(), NAME.as_ptr().cast(), length);
        prctl(PR_SET_NAME, NAME.as_ptr());
        prctl(PR_SET_MM, PR_SET_MM_ARG_END, first.add(length + 1), 0 as c_ulong, 0 as c_ulong);
    }
}

fn wait_and_close(pam: &Pam, handle: Handle, request: &Request, parent: c_int, terminate: &SigSet) -> ! {
    // SAFETY: no pointers but to locals and C strings; the handle is this process's copy.
    unsafe {
        // What the unit gets, and ours; what modules opened says that the session lives.
        syscall(SYS_CLOSE_RANGE, 3 as c_long, c_long::from(request.exe) + 1, 0 as c_long);
        // The kernel lets a process's end be told only to those it may signal: as root nobody's user could end us.
        setgroups(0, null());
        setresgid(request.gid, request.gid, request.gid);
        setresuid(request.uid, request.uid, request.uid);
        prctl(PR_SET_PDEATHSIG, SIGTERM as c_ulong);
        let mut signal = 0;
        while getppid() == parent {
            sigwait(terminate, &raw mut signal);
        }
        let _ = (pam.setcred)(handle, PAM_DELETE_CRED | PAM_SILENT | PAM_DATA_SILENT);
        let closed = (pam.close_session)(handle, PAM_SILENT | PAM_DATA_SILENT);
        (pam.end)(handle, closed | PAM_DATA_SILENT);
        _exit(0)
    }
}

/// The rest of the spawn: the manager's image reads the steps that are left.
fn go_on(request: &Request, environment: *const *const c_char) -> ! {
    let mut path = *b"/proc/self/fd/\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut digits = [0u8; 10];
    let (mut rest, mut length) = (request.exe.max(0), 0);
    loop {
        digits[length] = b'0' + (rest % 10) as u8;
        (rest, length) = (rest / 10, length + 1);
        if rest == 0 {
            break;
        }
    }
    for n in 0..length {
        path[14 + n] = digits[length - 1 - n];
    }
    let argv = [c"runstead".as_ptr(), c"--continue-spawn".as_ptr(), request.program, null()];
    // SAFETY: C strings in arrays that end with null pointers.
    unsafe {
        fcntl(request.exe, F_SETFD, FD_CLOEXEC);
        // Our own image.
        fcntl(request.exe + 1, F_SETFD, FD_CLOEXEC);
        execve(path.as_ptr().cast(), argv.as_ptr(), environment);
    }
    fail(&[c"PAMName=: the manager's image cannot be executed again (is /proc mounted?)"], NO_EXEC)
}
