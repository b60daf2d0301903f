//! Decisions as a program for the kernel's classic BPF machine (seccomp(2), `linux/filter.h`).
use super::calls::Abi;

/// One instruction (`struct sock_filter`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to skip when a comparison holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// `BPF_LD | BPF_W | BPF_ABS`: load a word of `struct seccomp_data`.
const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`
const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JA`
const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`
const JUMP_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGT | BPF_K`
const JUMP_GREATER: u16 = 0x25;
/// `BPF_JMP | BPF_JGE | BPF_K`
const JUMP_AT_LEAST: u16 = 0x35;
/// `BPF_JMP | BPF_JSET | BPF_K`
const JUMP_ANY_BIT: u16 = 0x45;
/// `BPF_RET | BPF_K`
const RETURN: u16 = 0x06;

/// Offset of the number in `struct seccomp_data`.
const NUMBER: u32 = 0;
/// Offset of the `AUDIT_ARCH_*` word.
const ARCHITECTURE: u32 = 4;
/// Offset of the low half of the first argument. What is looked at has 32 bits for the kernel, too, or nothing in its upper half that
/// the kernel does not refuse.
const ARGUMENTS: u32 = 16;

/// `AUDIT_ARCH_X86_64`, which x32 shares.
const AUDIT_X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386`
const AUDIT_X86: u32 = 0x4000_0003;

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is made.
    Allow,
    /// It is made, and the kernel's audit says so.
    Log,
    /// It fails with this errno.
    Errno(u16),
    /// The process is killed (`SIGSYS`).
    Kill,
}

impl Verdict {
    /// `SECCOMP_RET_*`
    fn word(self) -> u32 {
        match self {
            Verdict::Allow => 0x7fff_0000,
            Verdict::Log => 0x7ffc_0000,
            Verdict::Errno(errno) => 0x0005_0000 | u32::from(errno),
            Verdict::Kill => 0x8000_0000,
        }
    }
}

/// How an argument is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Test {
    Equal(u32),
    Greater(u32),
    /// One of these bits is set.
    AnyOf(u32),
    /// All of these bits are set.
    AllOf(u32),
    /// The lower half is this.
    Low(u32),
}

/// What is decided for a call, perhaps by its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decision {
    Give(Verdict),
    Ask { argument: u8, test: Test, yes: Box<Decision>, no: Box<Decision> },
}

impl Decision {
    /// `verdict` when the test of the argument holds, else this.
    pub(super) fn unless(self, argument: u8, test: Test, verdict: Verdict) -> Decision {
        self.or_if(argument, test, Decision::Give(verdict))
    }

    /// `yes` when the test of the argument holds, else this.
    pub(super) fn or_if(self, argument: u8, test: Test, yes: Decision) -> Decision {
        Decision::Ask { argument, test, yes: Box::new(yes), no: Box::new(self) }
    }

    fn program(&self) -> Vec<Instruction> {
        match self {
            Decision::Give(verdict) => vec![plain(RETURN, verdict.word())],
            Decision::Ask { argument, test, yes, no } => {
                let mut program = vec![plain(LOAD, ARGUMENTS + 8 * u32::from(*argument))];
                let (code, k) = match *test {
                    Test::Equal(value) => (JUMP_EQUAL, value),
                    Test::Greater(value) => (JUMP_GREATER, value),
                    Test::AnyOf(bits) => (JUMP_ANY_BIT, bits),
                    Test::Low(value) => {
                        program.push(plain(AND, 0xffff));
                        (JUMP_EQUAL, value)
                    }
                    Test::AllOf(bits) => {
                        program.push(plain(AND, bits));
                        (JUMP_EQUAL, bits)
                    }
                };
                program.extend(branch(code, k, yes.program(), no.program()));
                program
            }
        }
    }
}

fn plain(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

/// A comparison with what follows when it holds and when it does not; both end by themselves.
fn branch(code: u16, k: u32, yes: Vec<Instruction>, no: Vec<Instruction>) -> Vec<Instruction> {
    let mut program = Vec::with_capacity(2 + yes.len() + no.len());
    match u8::try_from(no.len()) {
        Ok(length) => program.push(Instruction { code, jt: length, jf: 0, k }),
        // Only a jump that always happens can be long.
        Err(_) => {
            program.push(Instruction { code, jt: 0, jf: 1, k });
            program.push(plain(JUMP, no.len() as u32));
        }
    }
    program.extend(no);
    program.extend(yes);
    program
}

/// What is decided for the numbers from one on to the next entry.
pub(super) type Ranges = Vec<(u32, Decision)>;

/// A search by halves; the first range begins at 0.
fn search(ranges: &[(u32, Decision)]) -> Vec<Instruction> {
    match ranges {
        [] => Vec::new(),
        [(_, decision)] => decision.program(),
        _ => {
            let (below, from) = ranges.split_at(ranges.len() / 2);
            branch(JUMP_AT_LEAST, from[0].0, search(from), search(below))
        }
    }
}

/// Decisions for single numbers, in order, and for all others, as ranges.
pub(super) fn ranges(from: u32, decided: Vec<(u32, Decision)>, others: &Decision) -> Ranges {
    let mut ranges: Ranges = vec![(from, others.clone())];
    let mut next = from;
    for (number, decision) in decided {
        if number > next {
            add(&mut ranges, next, others.clone());
        }
        add(&mut ranges, number, decision);
        next = number + 1;
    }
    add(&mut ranges, next, others.clone());
    ranges
}

fn add(ranges: &mut Ranges, from: u32, decision: Decision) {
    match ranges.last_mut() {
        Some((_, last)) if *last == decision => {}
        Some((start, last)) if *start == from => *last = decision,
        _ => ranges.push((from, decision)),
    }
}

/// The whole program. `of` gives the ranges of each way to call.
pub(super) fn assemble(others: Verdict, mut of: impl FnMut(Abi) -> Ranges) -> Vec<Instruction> {
    let number = |ranges: &[(u32, Decision)]| {
        let mut program = search(ranges);
        // Where nothing depends on the number it need not be there.
        if ranges.len() > 1 {
            program.insert(0, plain(LOAD, NUMBER));
        }
        program
    };
    let mut native = of(Abi::X86_64);
    for (from, decision) in of(Abi::X32) {
        add(&mut native, from, decision);
    }
    let elsewhere = vec![plain(RETURN, others.word())];
    let not_native = branch(JUMP_EQUAL, AUDIT_X86, number(&of(Abi::X86)), elsewhere);
    let mut program = vec![plain(LOAD, ARCHITECTURE)];
    program.extend(branch(JUMP_EQUAL, AUDIT_X86_64, number(&native), not_native));
    program
}

/// The machine that runs such programs, for tests.
#[cfg(test)]
pub(super) mod machine {
    use super::*;

    /// What the kernel would do with a call.
    pub(in super::super) fn run(
        program: &[Instruction],
        abi: Abi,
        number: u32,
        arguments: [u32; 6],
    ) -> Verdict {
        let architecture = if abi == Abi::X86 { AUDIT_X86 } else { AUDIT_X86_64 };
        let (mut at, mut a) = (0, 0u32);
        loop {
            let Instruction { code, jt, jf, k } = program[at];
            at += 1;
            let jump = |holds: bool| usize::from(if holds { jt } else { jf });
            match code {
                LOAD if k == NUMBER => a = number,
                LOAD if k == ARCHITECTURE => a = architecture,
                LOAD => a = arguments[((k - ARGUMENTS) / 8) as usize],
                AND => a &= k,
                JUMP => at += k as usize,
                JUMP_EQUAL => at += jump(a == k),
                JUMP_GREATER => at += jump(a > k),
                JUMP_AT_LEAST => at += jump(a >= k),
                JUMP_ANY_BIT => at += jump(a & k != 0),
                RETURN => {
                    let errno = Verdict::Errno((k & 0xffff) as u16);
                    let all = [Verdict::Allow, Verdict::Log, Verdict::Kill, errno];
                    return all.into_iter().find(|verdict| verdict.word() == k).expect("a verdict");
                }
                _ => panic!("unknown instruction {code:#x}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give(errno: u16) -> Decision {
        Decision::Give(Verdict::Errno(errno))
    }

    #[test]
    fn neighbours_that_are_decided_alike_are_one_range() {
        let allow = Decision::Give(Verdict::Allow);
        let decided = vec![(0, give(1)), (1, give(1)), (3, give(1)), (4, give(2)), (9, allow.clone())];
        let expected = vec![(0, give(1)), (2, allow.clone()), (3, give(1)), (4, give(2)), (5, allow.clone())];
        assert_eq!(ranges(0, decided, &allow), expected);
        assert_eq!(ranges(7, Vec::new(), &allow), [(7, allow)]);
    }

    #[test]
    fn long_jumps_arrive() {
        let others = Decision::Give(Verdict::Allow);
        let of = |abi: Abi| {
            let from = if abi == Abi::X32 { 0x4000_0000 } else { 0 };
            let decided = (0..450).map(|n| (from + n, give((n % 200) as u16 + 1 + abi as u16))).collect();
            ranges(from, decided, &others)
        };
        let program = assemble(Verdict::Kill, of);
        assert!(program.len() > 3 * 256 && program.len() < 4096, "{}", program.len());
        for abi in super::super::calls::ABIS {
            let from = if abi == Abi::X32 { 0x4000_0000 } else { 0 };
            for n in 0..450 {
                let expected = Verdict::Errno((n % 200) as u16 + 1 + abi as u16);
                assert_eq!(machine::run(&program, abi, from + n, [0; 6]), expected, "{abi:?} {n}");
            }
            assert_eq!(machine::run(&program, abi, from + 450, [0; 6]), Verdict::Allow);
        }
    }

    #[test]
    fn arguments_decide() {
        let decision = Decision::Give(Verdict::Allow)
            .unless(1, Test::AllOf(6), Verdict::Errno(1))
            .unless(0, Test::Greater(5), Verdict::Errno(2))
            .unless(2, Test::AnyOf(0x30), Verdict::Errno(3));
        let program = assemble(Verdict::Allow, |_| vec![(0, decision.clone())]);
        let run = |arguments| machine::run(&program, Abi::X86_64, 0, arguments);
        assert_eq!(run([5, 4, 0xf, 0, 0, 0]), Verdict::Allow);
        assert_eq!(run([5, 7, 0xf, 0, 0, 0]), Verdict::Errno(1));
        assert_eq!(run([6, 7, 0xf, 0, 0, 0]), Verdict::Errno(2));
        assert_eq!(run([6, 7, 0x10, 0, 0, 0]), Verdict::Errno(3));
    }
}
