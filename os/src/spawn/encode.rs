//! Turns a plan into a program for the interpreter (`sys::child`).
use super::assemble::{Arg, Assembler, CWD, JOIN, TEMP, TEMP2, signed};
use super::fds::FdLayout;
use super::{encode_mount, encode_stdio};
use crate::sys::program::{Image, Instruction, Policy, special};
use runstead_core::plan::{ExitStatus, Filter, OnError, Op, Plan, Slot, Step, Text};

use Arg::{N, R};

/// A program and what the caller must know of it.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) code: Vec<Instruction>,
    pub(super) data: Vec<u8>,
    /// Instruction that empties or fills the register which decides whether the child joins the cgroup itself.
    pub(super) join: usize,
    /// Instruction that gives signals their default actions ([`reset_all_signals`]).
    signals: Option<usize>,
}

/// Step number of what stands before the plan's first step.
pub(super) const PROLOGUE: u16 = u16::MAX;

/// Encode a plan. `layout` tells where the manager's descriptors are in the child; `None` when the plan is too big.
/// `ignored` are the signals that the manager ignores: handlers a child does not inherit.
pub(super) fn encode(plan: &Plan, layout: &FdLayout, unshare_files: bool, ignored: u64) -> Option<Encoded> {
    let mut asm = Assembler::default();
    asm.begin(PROLOGUE, OnError::Fail(ExitStatus::Fds));
    layout.encode(&mut asm, unshare_files);
    name_child(&mut asm, plan);
    let join = asm.code.len();
    asm.add(special::CLEAR, &[R(JOIN)]);
    asm.finish();
    let (mut signals, mut filter): (_, Option<(u16, &Step, &Filter)>) = (None, None);
    for (number, step) in plan.steps.iter().enumerate() {
        let number = u16::try_from(number).ok()?;
        asm.begin(number, step.on_error);
        match &step.op {
            Op::ResetSignals { ignore_sigpipe } => {
                signals = Some(asm.code.len());
                asm.add(special::RESET_SIGNALS, &[N(u64::from(*ignore_sigpipe)), N(ignored)]);
            }
            Op::Exec { paths, argv, envp } => {
                let arrays = prepare_exec(&mut asm, paths, argv, envp);
                asm.finish();
                // A filter comes behind everything that makes calls of its own.
                if let Some((number, step, filter)) = filter {
                    asm.begin(number, step.on_error);
                    install_filter(&mut asm, filter);
                    asm.finish();
                }
                asm.begin(number, step.on_error);
                exec(&mut asm, paths, arrays);
            }
            Op::Filter(program) => filter = Some((number, step, program)),
            op => encode_op(&mut asm, op, plan, layout),
        }
        asm.finish();
    }
    let fits = !asm.overflow && plan.steps.len() < usize::from(PROLOGUE);
    fits.then_some(Encoded { code: asm.code, data: asm.data, join, signals })
}

/// Until it is executed the child has the name of what it is going to be, in parentheses, as the reference shows it: of a
/// longer one the last eight letters.
fn name_child(asm: &mut Assembler, plan: &Plan) {
    let Some(Op::Exec { paths, .. }) = plan.steps.last().map(|step| &step.op) else { return };
    let name = paths.first().map_or("", |path| path.rsplit('/').next().unwrap_or(path));
    let skip = name.char_indices().rev().nth(7).map_or(0, |(at, _)| at);
    let name = asm.string(&format!("({})", &name[skip..]));
    asm.call(libc::SYS_prctl, &[N(libc::PR_SET_NAME as u64), name]).policy = Policy::Continue as u8;
}

/// Steps of a plan for a process that reads this from a descriptor; the command itself follows ([`append_command`]).
pub(super) fn encode_rest(steps: &[Step], from: usize) -> Option<Image> {
    let mut asm = Assembler::default();
    asm.begin(PROLOGUE, OnError::Fail(ExitStatus::Fds));
    asm.call(libc::SYS_close, &[N(from as u64)]);
    asm.finish();
    let layout = FdLayout::none();
    for (number, step) in steps.iter().enumerate() {
        asm.begin(u16::try_from(number).ok()?, step.on_error);
        encode_op(&mut asm, &step.op, &Plan::default(), &layout);
        asm.finish();
    }
    (!asm.overflow).then_some(Image { code: asm.code, data: asm.data })
}

/// The command behind such steps, with the environment that the process has.
pub(super) fn append_command(image: Image, paths: &[String], argv: &[Text]) -> Image {
    let mut asm = Assembler::default();
    (asm.code, asm.data) = (image.code, image.data);
    asm.begin(PROLOGUE, OnError::Fail(ExitStatus::Exec));
    let first = asm.code.len();
    let arrays = prepare_exec(&mut asm, paths, argv, &[]);
    exec(&mut asm, paths, arrays);
    if let Some(exec) = asm.code.last_mut() {
        exec.args[4] = 1;
    }
    let end = asm.code.len() as u32;
    asm.code[first..].iter_mut().for_each(|instruction| instruction.end = end);
    Image { code: asm.code, data: asm.data }
}

/// The child is made in a way that lets it inherit handlers: all signals get their default actions.
pub(super) fn reset_all_signals(encoded: &mut Encoded) {
    if let Some(instruction) = encoded.signals.and_then(|at| encoded.code.get_mut(at)) {
        instruction.args[1] = u64::MAX;
    }
}

/// Make the instruction at `join` put 0 into the register, so that the step which joins the cgroup runs.
pub(super) fn enable_join(instruction: &mut Instruction) {
    instruction.op = libc::SYS_getpid as u32;
    instruction.kinds = 0;
    instruction.store = JOIN + 1;
}

fn encode_op(asm: &mut Assembler, op: &Op, plan: &Plan, layout: &FdLayout) {
    if encode_stdio::encode(asm, op, layout) || encode_mount::encode(asm, op) || encode_limits(asm, op) {
        return;
    }
    match op {
        Op::Setsid => {
            asm.call(libc::SYS_setsid, &[]).fine[0] = libc::EPERM as u16;
        }
        Op::WriteFile { path, bytes } => write_file(asm, path, bytes),
        Op::JoinCgroup => join_cgroup(asm, plan),
        Op::Keyring { shared, invocation } => keyring(asm, *shared, invocation),
        Op::SetGroups(groups) => {
            let bytes: Vec<u8> = groups.iter().flat_map(|gid| gid.to_ne_bytes()).collect();
            let list = asm.aligned(&bytes);
            asm.call(libc::SYS_setgroups, &[N(groups.len() as u64), list]);
        }
        Op::SetGid(gid) => {
            asm.call(libc::SYS_setresgid, &[N(u64::from(*gid)); 3]);
        }
        Op::SetUid(uid) => {
            asm.call(libc::SYS_setresuid, &[N(u64::from(*uid)); 3]);
        }
        Op::BoundingSet(keep) => {
            asm.add(special::BOUNDING_SET, &[N(*keep)]);
        }
        Op::Capabilities { inheritable, keep } => {
            asm.add(special::CAPABILITIES, &[N(*inheritable), N(*keep)]);
        }
        Op::Ambient(mask) => {
            asm.add(special::AMBIENT, &[N(*mask)]);
        }
        Op::Chdir { path } => {
            let path = asm.string(path);
            asm.call(libc::SYS_chdir, &[path]);
        }
        Op::PlaceFds { fds, nonblock } => layout.place(asm, fds, *nonblock),
        // The command of a session comes without a journal's entry, which is what would make calls behind this.
        Op::Filter(filter) => install_filter(asm, filter),
        _ => asm.overflow = true,
    }
}

/// Limits, scheduling and other numbers: one system call each.
fn encode_limits(asm: &mut Assembler, op: &Op) -> bool {
    match op {
        Op::Umask(mask) => {
            asm.call(libc::SYS_umask, &[N(u64::from(*mask))]);
        }
        Op::Rlimit { resource, soft, hard } => {
            asm.add(special::RLIMIT, &[N(u64::from(*resource)), N(*soft), N(*hard)]);
        }
        Op::Nice(nice) => {
            asm.call(libc::SYS_setpriority, &[N(0), N(0), signed(*nice)]);
        }
        Op::Scheduler { policy, priority, nice, reset_on_fork } => {
            // struct sched_attr: size, policy, flags, nice, priority, runtime, deadline, period
            let mut attr = Vec::with_capacity(48);
            attr.extend_from_slice(&48u32.to_ne_bytes());
            attr.extend_from_slice(&policy.to_ne_bytes());
            attr.extend_from_slice(&u64::from(*reset_on_fork).to_ne_bytes());
            attr.extend_from_slice(&nice.to_ne_bytes());
            attr.extend_from_slice(&priority.to_ne_bytes());
            attr.resize(48, 0);
            let attr = asm.aligned(&attr);
            asm.call(libc::SYS_sched_setattr, &[N(0), attr, N(0)]);
        }
        Op::IoPriority(priority) => {
            const IOPRIO_WHO_PROCESS: u64 = 1;
            asm.call(libc::SYS_ioprio_set, &[N(IOPRIO_WHO_PROCESS), N(0), N(u64::from(*priority))]);
        }
        Op::CpuAffinity(mask) => {
            let list = asm.aligned(mask);
            asm.call(libc::SYS_sched_setaffinity, &[N(0), N(mask.len() as u64), list]);
        }
        Op::NumaPolicy { policy, nodes } => {
            let list = if nodes.is_empty() { N(0) } else { asm.aligned(nodes) };
            asm.call(libc::SYS_set_mempolicy, &[N(u64::from(*policy)), list, N(nodes.len() as u64 * 8 + 1)]);
        }
        Op::Prctl(args) => {
            asm.call(libc::SYS_prctl, &args.map(N));
        }
        Op::Personality(personality) => {
            asm.call(libc::SYS_personality, &[N(*personality)]);
        }
        _ => return false,
    }
    true
}

fn write_file(asm: &mut Assembler, path: &str, bytes: &[u8]) {
    let path = asm.string(path);
    let content = asm.bytes(bytes);
    let flags = N((libc::O_WRONLY | libc::O_CLOEXEC) as u64);
    asm.call(libc::SYS_openat, &[CWD, path, flags, N(0)]).store = TEMP + 1;
    asm.add(special::WRITE_ALL, &[R(TEMP), content, N(bytes.len() as u64)]);
    asm.close(TEMP);
}

/// Writes "0", which is the writer itself, to `cgroup.procs`; skipped when the child was made there.
fn join_cgroup(asm: &mut Assembler, plan: &Plan) {
    if let Some(cgroup) = &plan.cgroup {
        asm.add(special::REQUIRE, &[R(JOIN)]);
        write_file(asm, &format!("{cgroup}/cgroup.procs"), b"0");
    }
}

fn keyring(asm: &mut Assembler, shared: bool, invocation: &[u8]) {
    const JOIN_SESSION_KEYRING: u64 = 1;
    const SETPERM: u64 = 5;
    const LINK: u64 = 8;
    const USER_KEYRING: i32 = -4;
    const SESSION_KEYRING: i32 = -3;
    // Possessor: view, read, search; user: view, read, search.
    const READ_ONLY: u64 = 0x0b0b_0000;
    asm.call(libc::SYS_keyctl, &[N(JOIN_SESSION_KEYRING), N(0)]);
    if shared {
        asm.call(libc::SYS_keyctl, &[N(LINK), signed(USER_KEYRING), signed(SESSION_KEYRING)]);
    }
    if !invocation.is_empty() {
        let (kind, name) = (asm.string("user"), asm.string("invocation_id"));
        let bytes = asm.bytes(invocation);
        let length = N(invocation.len() as u64);
        asm.call(libc::SYS_add_key, &[kind, name, bytes, length, signed(SESSION_KEYRING)]).store = TEMP + 1;
        asm.call(libc::SYS_keyctl, &[N(SETPERM), R(TEMP), N(READ_ONLY)]);
        asm.add(special::CLEAR, &[R(TEMP)]);
    }
}

fn words(offsets: &[u64]) -> Vec<u8> {
    offsets.iter().flat_map(|offset| offset.to_ne_bytes()).collect()
}

/// seccomp(2) with a `struct sock_fprog`: the number of instructions, padding, where they are.
fn install_filter(asm: &mut Assembler, filter: &Filter) {
    const SECCOMP_SET_MODE_FILTER: u64 = 1;
    let bytes = filter.program.iter().flat_map(|i| {
        let word = u64::from(i.code) | u64::from(i.jt) << 16 | u64::from(i.jf) << 24 | u64::from(i.k) << 32;
        word.to_le_bytes()
    });
    let program = match asm.aligned(&bytes.collect::<Vec<u8>>()) {
        Arg::D(at) => at,
        _ => 0,
    };
    let Ok(length) = u16::try_from(filter.program.len()) else {
        asm.overflow = true;
        return;
    };
    let head = asm.aligned(&words(&[u64::from(length)]));
    let pointer = asm.bytes(&program.to_ne_bytes());
    asm.add(special::RELOCATE, &[pointer, N(1)]);
    asm.call(libc::SYS_seccomp, &[N(SECCOMP_SET_MODE_FILTER), N(0), head]);
}

/// Words and environment where execve(2) will find them: the arrays of paths, words, and variables.
fn prepare_exec(asm: &mut Assembler, paths: &[String], argv: &[Text], envp: &[Text]) -> [Arg; 3] {
    let mut fills = Vec::new();
    let mut table = |asm: &mut Assembler, texts: &[&Text]| {
        let mut offsets = Vec::with_capacity(texts.len());
        for (index, text) in texts.iter().enumerate() {
            let (offset, slots) = asm.text(text);
            offsets.push(offset);
            fills.extend(slots.into_iter().map(|fill| (fill, index)));
        }
        offsets
    };
    let argv: Vec<&Text> = argv.iter().collect();
    // The journal's entry goes last: it may vanish.
    let is_journal = |text: &&Text| text.slots.iter().any(|(_, slot)| *slot == Slot::JournalStream);
    let (journal, mut env): (Vec<&Text>, Vec<&Text>) = envp.iter().partition(is_journal);
    env.extend(journal);
    let argv = table(asm, &argv);
    let env = table(asm, &env);
    let names: Vec<u64> = paths
        .iter()
        .map(|path| match asm.string(path) {
            Arg::D(at) => at,
            _ => 0,
        })
        .collect();
    let arrays = [&names, &argv, &env].map(|offsets| {
        let array = asm.aligned(&words(offsets));
        asm.bytes(&[0; 8]);
        asm.add(special::RELOCATE, &[array, N(offsets.len() as u64)]);
        array
    });
    let Arg::D(env_at) = arrays[2] else { return arrays };
    for ((at, behind, slot), index) in fills {
        match slot {
            Slot::Pid => asm.add(special::FILL_PID, &[Arg::D(at), N(behind)]),
            Slot::JournalStream => {
                asm.add(special::FILL_JOURNAL, &[Arg::D(at), Arg::D(env_at + 8 * index as u64)])
            }
        };
    }
    arrays
}

fn exec(asm: &mut Assembler, paths: &[String], [names, argv, envp]: [Arg; 3]) {
    asm.add(special::EXEC, &[names, N(paths.len() as u64), argv, envp]);
}

/// Put a register's descriptor on `target`, without close-on-exec. It may have got a number below 3 itself, when the
/// manager has none of these open.
pub(super) fn move_to(asm: &mut Assembler, register: u16, target: i32) {
    asm.call(libc::SYS_fcntl, &[R(register), N(libc::F_DUPFD as u64), N(3)]).store = TEMP2 + 1;
    asm.call(libc::SYS_close, &[R(register)]);
    asm.add(special::CLEAR, &[R(register)]);
    asm.call(libc::SYS_dup3, &[R(TEMP2), signed(target), N(0)]);
    asm.close(TEMP2);
}
