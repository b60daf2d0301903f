//! Resource control reaches the kernel, and the OOM killer is noticed (systemd.resource-control(5)).
use crate::{Checks, file};
use runstead_compat::Error;
use runstead_compat::machine::Entry;

const LIMITED: &str = "[Service]\nExecStart=/bin/sleep 1000\nMemoryMax=50M\nMemoryHigh=40M\nMemorySwapMax=0\nTasksMax=17\n\
    CPUWeight=50\nCPUQuota=50%\nIOWeight=77\nIOReadBandwidthMax=/dev/vdb 1M\nAllowedCPUs=0\n";
const PLAIN: &str = "[Service]\nExecStart=/bin/sleep 1000\n";
const GREEDY: &str =
    "ExecStart=/usr/bin/python3 -c 'a = bytearray(200000000)'\nMemoryMax=30M\nMemorySwapMax=0\n";
const TOLERANT: &str = "ExecStart=/bin/sh -c 'python3 -c \"a = bytearray(200000000)\"; exec sleep 1000'\n\
    OOMPolicy=continue\nMemoryMax=30M\nMemorySwapMax=0\n";

pub fn files() -> Vec<(String, Entry)> {
    let unit = |name: &str, text: &str| file(&format!("/etc/systemd/system/{name}.service"), text);
    vec![
        unit("limited", LIMITED),
        unit("plain", PLAIN),
        unit("greedy", &format!("[Service]\n{GREEDY}")),
        unit("tolerant", &format!("[Service]\n{TOLERANT}")),
        file("/root/moves", MOVES),
    ]
}

/// File of the cgroup and what is in it.
const WRITTEN: [(&str, &str); 8] = [
    ("memory.max", "52428800"),
    ("memory.high", "41943040"),
    ("memory.swap.max", "0"),
    ("pids.max", "17"),
    ("cpu.weight", "50"),
    ("cpu.max", "50000 100000"),
    ("io.weight", "default 77"),
    ("cpuset.cpus", "0"),
];

/// Median of the milliseconds that moving a process takes, as for each login; the pauses are longer than a grace period.
const MOVES: &str = r#"
import os, statistics, subprocess, time
group = "/sys/fs/cgroup/moves"
os.mkdir(group)
child = subprocess.Popen(["sleep", "1000"])
took = []
for turn in range(21):
    time.sleep(0.08)
    with open((group if turn % 2 else "/sys/fs/cgroup") + "/cgroup.procs", "w", buffering=1) as procs:
        begin = time.monotonic()
        procs.write(f"{child.pid}\n")
        took.append(time.monotonic() - begin)
child.kill()
child.wait()
os.rmdir(group)
print(statistics.median(took) * 1000)
"#;

/// How long the kernel takes to move a process, ms.
pub fn move_time(checks: &mut Checks<'_>) -> f64 {
    let text = checks.vm.text("python3 /root/moves");
    checks
        .outcome("a process is moved", text.and_then(|text| text.parse().map_err(|_| Error::new(text))))
        .unwrap_or(0.0)
}

pub fn prove(checks: &mut Checks<'_>) {
    checks.proof.step(format!("{}: resource control", checks.who));
    let controllers = "cat /sys/fs/cgroup/system.slice/cgroup.subtree_control";
    checks.text("only what all units need is enabled", controllers, "memory pids");
    checks.text("limited starts", "systemctl start limited plain; systemctl is-active limited", "active");
    for (name, value) in WRITTEN {
        checks.text(name, &format!("cat /sys/fs/cgroup/system.slice/limited.service/{name}"), value);
    }
    let device = "sed 's/^[0-9]*:[0-9]* //' /sys/fs/cgroup/system.slice/limited.service/io.max";
    checks.text("io.max of a device", device, "rbps=1000000 wbps=max riops=max wiops=max");
    checks.text("what the others need for that", controllers, "cpuset cpu io memory pids");
    let shown = "systemctl show limited --value -p EffectiveCPUs -p TasksCurrent -p MemoryMax -p EffectiveTasksMax | sort | xargs";
    checks.text("shown", shown, "0 1 17 52428800");
    let share = "[ $(cat /sys/fs/cgroup/system.slice/plain.service/pids.max) = $(systemctl show --value -p DefaultTasksMax) ] && echo same";
    checks.text("the default of TasksMax", share, "same");
    checks.text("changed while it runs", "systemctl set-property --runtime limited MemoryMax=60M CPUWeight=70; cd /sys/fs/cgroup/system.slice/limited.service; cat memory.max cpu.weight | xargs", "62914560 70");
    checks.text("and gone with it", &format!("systemctl stop limited plain; {controllers}"), "memory pids");
    let result = "systemctl show greedy --value -p Result -p ExecMainStatus -p ActiveState | sort | xargs";
    checks.text("killed for memory", &format!("systemctl start greedy; sleep 0.2; for i in $(seq 100); do systemctl is-failed -q greedy && break; sleep 0.1; done; {result}"), "9 failed oom-kill");
    let log = "journalctl -b -u greedy -o cat --no-pager | grep -c 'killed by the OOM killer'";
    checks.soon("and it is said", log, "1");
    checks.soon("another goes on without the one that was killed", "systemctl start tolerant; journalctl -b -u tolerant -o cat --no-pager | grep -c 'killed by the OOM killer'", "1");
    checks.text("OOMPolicy=continue", "systemctl is-active tolerant; systemctl stop tolerant", "active");
}
