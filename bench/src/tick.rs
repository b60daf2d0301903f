//! The program whose start is measured: a static executable without libc, 256 bytes of it.
//!
//! It appends the monotonic time (a `struct timespec`) to a file and ends; with arguments it then executes
//! them instead, which marks the moment before PID 1's own exec. A service linked with a libc would mostly
//! measure that libc's start-up.

/// How many bytes one start leaves in the file.
const RECORD: usize = 16;
const BASE: u64 = 0x40_0000;
const HEADERS: usize = 64 + 56;

/// The machine code; the path of the file follows it. System calls: clock_gettime(1), open(append), write,
/// close, then execve(argv[1..]) when there are arguments, else exit(0).
#[rustfmt::skip]
const CODE: &[u8] = &[
    0x49, 0x89, 0xe4,                               // mov  r12, rsp
    0x48, 0x83, 0xec, 0x10,                         // sub  rsp, 16
    0xb8, 0xe4, 0, 0, 0,                            // mov  eax, 228     clock_gettime
    0xbf, 0x01, 0, 0, 0,                            // mov  edi, 1       CLOCK_MONOTONIC
    0x48, 0x89, 0xe6, 0x0f, 0x05,                   // mov  rsi, rsp; syscall
    0xb8, 0x02, 0, 0, 0,                            // mov  eax, 2       open
    0x48, 0x8d, 0x3d, 0x4a, 0, 0, 0,                // lea  rdi, [path]
    0xbe, 0x01, 0x04, 0, 0,                         // mov  esi, O_WRONLY | O_APPEND
    0x31, 0xd2, 0x0f, 0x05,                         // xor  edx, edx; syscall
    0x89, 0xc7,                                     // mov  edi, eax
    0xb8, 0x01, 0, 0, 0,                            // mov  eax, 1       write
    0x48, 0x89, 0xe6,                               // mov  rsi, rsp
    0xba, 0x10, 0, 0, 0, 0x0f, 0x05,                // mov  edx, 16; syscall
    0xb8, 0x03, 0, 0, 0, 0x0f, 0x05,                // mov  eax, 3; syscall   close
    0x49, 0x8b, 0x04, 0x24,                         // mov  rax, [r12]   argc
    0x48, 0x83, 0xf8, 0x01, 0x7e, 0x16,             // cmp  rax, 1; jle done
    0x49, 0x8b, 0x7c, 0x24, 0x10,                   // mov  rdi, [r12 + 16]
    0x49, 0x8d, 0x74, 0x24, 0x10,                   // lea  rsi, [r12 + 16]
    0x49, 0x8d, 0x54, 0xc4, 0x10,                   // lea  rdx, [r12 + rax * 8 + 16]
    0xb8, 0x3b, 0, 0, 0, 0x0f, 0x05,                // mov  eax, 59; syscall  execve
    0xb8, 0x3c, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05,    // done: mov eax, 60; xor edi, edi; syscall  exit
];

/// The executable that appends to `path` (x86-64).
pub fn program(path: &str) -> Vec<u8> {
    let size = u64::try_from(HEADERS + CODE.len() + path.len() + 1).expect("a few hundred bytes");
    let mut elf = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let half = |elf: &mut Vec<u8>, v: u16| elf.extend(v.to_le_bytes());
    let word = |elf: &mut Vec<u8>, v: u32| elf.extend(v.to_le_bytes());
    let long = |elf: &mut Vec<u8>, v: u64| elf.extend(v.to_le_bytes());
    half(&mut elf, 2); // an executable
    half(&mut elf, 62); // for x86-64
    word(&mut elf, 1);
    long(&mut elf, BASE + u64::try_from(HEADERS).expect("it is 120")); // entry
    long(&mut elf, 64); // program headers follow
    long(&mut elf, 0);
    word(&mut elf, 0);
    for v in [64, 56, 1, 0, 0, 0] {
        half(&mut elf, v);
    }
    word(&mut elf, 1); // one segment to load
    word(&mut elf, 5); // readable, executable
    for v in [0, BASE, BASE, size, size, 0x1000] {
        long(&mut elf, v);
    }
    elf.extend(CODE);
    elf.extend(path.bytes());
    elf.push(0);
    elf
}

/// The times in a file of records, in microseconds, ascending.
pub fn times(records: &[u8]) -> Vec<f64> {
    let number = |bytes: &[u8]| bytes.try_into().map_or(0, i64::from_le_bytes) as f64;
    let mut all: Vec<f64> =
        records.chunks_exact(RECORD).map(|r| number(&r[..8]) * 1e6 + number(&r[8..]) / 1e3).collect();
    all.sort_by(f64::total_cmp);
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn it_runs_notes_the_time_and_executes_its_arguments() {
        let directory = std::env::temp_dir().join(format!("runstead-bench-test-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let (tick, ticks) = (directory.join("tick"), directory.join("ticks"));
        std::fs::write(&ticks, "").unwrap();
        std::fs::write(&tick, program(ticks.to_str().unwrap())).unwrap();
        std::fs::set_permissions(&tick, std::fs::Permissions::from_mode(0o755)).unwrap();
        assert!(std::process::Command::new(&tick).status().unwrap().success());
        let output = std::process::Command::new(&tick).args(["/bin/echo", "on"]).output().unwrap();
        assert_eq!(output.stdout, b"on\n");
        let noted = times(&std::fs::read(&ticks).unwrap());
        std::fs::remove_dir_all(&directory).unwrap();
        assert_eq!(noted.len(), 2);
        assert!(noted[0] > 0.0 && noted[0] < noted[1]);
    }
}
