//! What callers who are not root may do over the system bus: what everybody may, and what polkit decides.

use runstead_compat::check;
use runstead_compat::layer::POLKIT;
use runstead_compat::machine::UnderTest;
use runstead_compat::proof::Pid1;
use runstead_compat::root::Distribution;
use runstead_compat::scenario::{Case, Outcome, Scenario, equal};

const UNIT: (&str, &str) = (
    "@@.service",
    "[Service]
     ExecStart=sleep 1d
     ExecReload=true
     [Install]
     WantedBy=multi-user.target
     Alias=@@-alias.service",
);
/// Somebody who is not root; the sabotage of most makes it root.
const AS: &str = "setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=/";
const AS_ROOT: (&str, &str) = ("--reuid=nobody --regid=nogroup", "--reuid=root --regid=root");
const CALL: &str = "dbus-send --system --print-reply --dest=org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager";

const LIST: &str = "busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager ListUnitsByNames";

/// Commands that change something and what is said when the caller may not: `!` stands for the reason.
const CHANGES: &[(&str, &str)] = &[
    ("systemctl start @@", "Failed to start @@.service: !"),
    ("systemctl stop @@", "Failed to stop @@.service: !"),
    ("systemctl restart @@", "Failed to restart @@.service: !"),
    ("systemctl reload @@", "Failed to reload @@.service: !"),
    ("systemctl start @@-made-up", "Failed to start @@-made-up.service: !"),
    ("systemctl isolate rescue.target", "Failed to start rescue.target: !"),
    ("systemctl kill @@", "Failed to kill unit @@.service: !"),
    ("systemctl reset-failed", "Failed to execute operation: !"),
    ("systemctl reset-failed @@", "Failed to reset failed state of unit @@.service: !"),
    ("systemctl set-property --runtime @@ CPUWeight=50", "Failed to set unit properties on @@.service: !"),
    ("systemctl freeze @@", "Failed to add reference to unit @@.service: !"),
    ("systemctl enable @@", "Failed to enable unit: !"),
    ("systemctl disable @@", "Failed to disable unit: !"),
    ("systemctl mask @@", "Failed to mask unit: !"),
    ("systemctl set-default rescue.target", "Failed to set default target: !"),
    ("systemctl daemon-reload", "Reload daemon failed: !"),
    ("systemctl daemon-reexec", "Reexecute daemon failed: !"),
    ("systemctl set-environment A=b", "Failed to set environment: !"),
    ("systemctl cancel", "Failed to execute operation: !"),
    ("systemd-run true", "Failed to start transient service unit: !"),
    ("systemd-run --scope true", "Failed to start transient scope unit: !"),
];

/// What is wrong is said before anybody is asked; `*` stands for words of one's own.
const WRONG: &[(&str, &str)] = &[
    (
        "systemctl kill @@-made-up",
        "Failed to kill unit @@-made-up.service: Unit @@-made-up.service not loaded.",
    ),
    ("systemctl kill --kill-value=4 -s USR1 @@", "Failed to kill unit @@.service: *"),
    ("systemctl cancel 999999", "Failed to cancel job 999999, ignoring: Job 999999 does not exist."),
    (
        "CALL.StartUnit string:a/b string:replace",
        "Error org.freedesktop.DBus.Error.InvalidArgs: Unit name a/b is not valid.",
    ),
    (
        "CALL.StartUnit string:@@.service string:any",
        "Error org.freedesktop.DBus.Error.InvalidArgs: Job mode any invalid",
    ),
    (
        "CALL.KillUnit string:@@.service string:all int32:65",
        "Error org.freedesktop.DBus.Error.InvalidArgs: Signal number out of range.",
    ),
    (
        "CALL.SetEnvironment array:string:bad",
        "Error org.freedesktop.DBus.Error.InvalidArgs: Invalid environment assignments",
    ),
    (
        "CALL.UnrefUnit string:@@.service",
        "Error org.freedesktop.systemd1.NotReferenced: Unit has not been referenced yet.",
    ),
    (
        "CALL.AttachProcessesToUnit string:@@.service string: array:uint32:1",
        "Error org.freedesktop.DBus.Error.InvalidArgs: *",
    ),
];

/// What everybody may.
const READS: &[&str] = &[
    "systemctl list-units",
    "systemctl list-jobs",
    "systemctl list-unit-files",
    "systemctl show @@",
    "systemctl status @@",
    "systemctl cat @@",
    "systemctl is-active @@",
    "systemctl get-default",
    "systemctl show-environment",
    "CALL.GetUnit string:@@.service",
    "CALL.LoadUnit string:@@-made-up.service",
    "CALL.Subscribe",
    "CALL.Dump",
    "CALL.GetUnitProcesses string:@@.service",
];

/// What Debian 12's clients or its bus's policy do not have.
const NEWER: &[&str] = &["set-environment", "--kill-value", "SetEnvironment", "cancel 999999"];

fn is_known(command: &str) -> bool {
    let older = matches!(Distribution::from_env(), Ok(Distribution::Debian12));
    !older || !NEWER.iter().any(|newer| command.contains(newer))
}

/// The scenarios of this topic.
pub const ALL: &[Scenario] = &[
    Scenario::new("authority/without-polkit-only-root-changes-anything", &[UNIT], AS_ROOT, |c| {
        let refused = "org.freedesktop.DBus.Error.AccessDenied: Permission denied";
        refuses(c, "Access denied", 4, refused)
    }),
    Scenario::new("authority/polkit-wants-a-person", &[UNIT], AS_ROOT, |c| {
        let refused =
            "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired: Interactive authentication required.";
        refuses(c, "Interactive authentication required.", 1, refused)
    })
    .with_packages(POLKIT),
    Scenario::new(
        "authority/rules-see-verb-and-unit",
        &[
            UNIT,
            ("@@-alias.service", "-> /etc/systemd/system/@@.service"),
            ("@@-made.service", "[Service]\nExecStart=true"),
            (
                "/etc/polkit-1/rules.d/10-test.rules",
                r#"polkit.addRule(function(action, subject) {
                    if (subject.user != "nobody") return;
                    if (action.id == "org.freedesktop.systemd1.reload-daemon") return polkit.Result.YES;
                    if (action.id != "org.freedesktop.systemd1.manage-units") return;
                    var unit = action.lookup("unit"), verb = action.lookup("verb");
                    if (unit == "@@.service" && (verb == "start" || verb == "set-property")) return polkit.Result.YES;
                    if (unit == "@@-run.service" && verb == "start") return polkit.Result.YES;
                    if (verb == "stop") return polkit.Result.NO;
                });"#,
            ),
        ],
        (r#""@@.service" && (verb"#, r#""@@.service" && !(verb"#),
        |c| {
            c.ok(&format!("{AS} systemctl daemon-reload"))?;
            c.ok(&format!("{AS} systemctl --no-ask-password start @@-alias"))?;
            c.wait_show("@@.service", "ActiveState", "active")?;
            c.ok(&format!("{AS} systemctl set-property --runtime @@ CPUWeight=50"))?;
            c.wait_show("@@.service", "CPUWeight", "50")?;
            let out = c.ok(&format!("{AS} systemd-run -q --pipe --wait --unit=@@-run id -un"));
            equal("a transient unit", &out.unwrap_or_else(|why| why), "root")?;
            let done = c.run(&format!("{AS} systemctl stop @@"))?;
            equal("a flat no", &(done.code, first_line(&done.err)), &(4, c.text("Failed to stop @@.service: Access denied")))?;
            let done = c.run(&format!("{AS} systemctl --no-ask-password start @@-made"))?;
            equal("another unit", &done.code, &1)?;
            equal("still up", &c.show("@@.service", "ActiveState")?, "active")
        },
    )
    .with_packages(POLKIT),
    Scenario::new("authority/polkit-that-dies-fails-the-call", &[UNIT], ("kill -STOP", "true"), |c| {
        let pid = polkit(c)?;
        c.ok(&format!("kill -STOP {pid}"))?;
        c.ok(&format!("({AS} {CALL}.StartUnit string:@@.service string:replace 2>&1; echo status $?) >/t/@@/said &"))?;
        c.rest(300);
        // Nobody else waits meanwhile.
        c.ok("timeout 5 systemctl start @@; timeout 5 busctl call org.freedesktop.systemd1 /org/freedesktop/systemd1 org.freedesktop.systemd1.Manager ListJobs")?;
        check!(c.read("/t/@@/said").is_empty(), "the call does not wait: {}", c.read("/t/@@/said"));
        c.ok(&format!("kill -KILL {pid}"))?;
        c.until("the call fails", || Ok(c.read("/t/@@/said").contains("status 1")))?;
        // Its connection closes before it can be waited for: until then its unit counts as active, and is not started.
        c.until("its end is seen", || Ok(c.show("polkit.service", "MainPID")? != pid))?;
        let said = first_line(&c.read("/t/@@/said"));
        equal("said", &*said, "Error org.freedesktop.DBus.Error.NoReply: Message recipient disconnected from message bus without replying")?;
        let done = c.run(&format!("{AS} systemctl --no-ask-password stop @@"))?;
        equal("the next polkit", &first_line(&done.err), &c.text("Failed to stop @@.service: Interactive authentication required."))
    })
    .with_packages(POLKIT),
    Scenario::new(
        "authority/a-caller-that-left-gets-nothing-done",
        &[
            UNIT,
            (
                "/etc/polkit-1/rules.d/10-test.rules",
                "polkit.addRule(function(action, subject) { if (subject.user == \"nobody\") return polkit.Result.YES; });",
            ),
        ],
        ("timeout 1 ", ""),
        |c| {
            let pid = polkit(c)?;
            c.ok(&format!("kill -STOP {pid}"))?;
            c.run(&format!("({AS} timeout 1 {CALL}.StartUnit string:@@.service string:replace; echo over >/t/@@/over) >/dev/null 2>&1 &"))?;
            c.rest(1500);
            c.ok(&format!("kill -CONT {pid}"))?;
            c.until("the caller ended", || Ok(c.exists("/t/@@/over")))?;
            c.rest(500);
            equal("state", &c.show("@@.service", "ActiveState")?, "inactive")?;
            c.ok(&format!("{AS} systemctl enable @@"))?;
            check!(c.exists("/etc/systemd/system/multi-user.target.wants/@@.service"), "it is not enabled");
            Ok(())
        },
    )
    .with_packages(POLKIT),
    Scenario::new("authority/dumps-are-rare-for-all-but-root", &[], AS_ROOT, |c| {
        for n in 1..=10 {
            c.ok(&format!("{AS} {CALL}.Dump >/dev/null")).map_err(|why| format!("dump {n}: {why}"))?;
        }
        let said = as_other(c, "CALL.DumpByFileDescriptor")?.1;
        check!(said.starts_with("Error org.freedesktop.DBus.Error.LimitsExceeded: "), "said {said}");
        c.ok(&format!("{CALL}.Dump >/dev/null")).map(|_| ())
    })
    .alone(),
    Scenario::new(
        "authority/a-long-list-of-units-is-shown-side-by-side",
        &[("@@.service", "[Unit]\nDescription=first"), ("@@-other.service", "[Unit]\nDescription=second")],
        ("Description=first", "Description=third"),
        |c| {
            let (before, owner) = (Pid1(c.machine()).peak(), manager(c)?);
            let said = c.ok(&format!(
                "{AS} {LIST} as 15002 @@.service $(seq -f @@-%.0f.service 15000) @@-other.service | \
                 grep -oE '\"(first|second|not-found)\"' | uniq -c"
            ))?;
            let words: Vec<&str> = said.split_whitespace().collect();
            equal("shown", &words.join(" "), r#"1 "first" 15000 "not-found" 1 "second""#)?;
            let more = Pid1(c.machine()).peak() - before;
            check!(more < 128 << 10, "PID 1 had {more} KiB more than ever before");
            equal("the manager on the bus", &manager(c)?, &owner)
        },
    )
    .alone(),
    Scenario::new(
        "authority/an-answer-that-is-too-long-costs-nobody-the-bus",
        &[(
            "@@.service",
            "[Unit]
             Description=0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 \
                         0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 \
                         0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789
             [Service]
             ExecStart=sleep 1d",
        )],
        ("ExecStart=sleep", "ExecStart=false"),
        |c| {
            c.ctl("start @@")?;
            let owner = manager(c)?;
            c.ok(&format!("ulimit -s unlimited; {AS} {LIST} as -- 120000 $(yes -- -.mount | head -n 120000) >/dev/null"))?;
            c.ok("systemctl is-active @@")?;
            // What follows costs the reference its name on the bus.
            if !matches!(UnderTest::from_env(), Ok(UnderTest::Ours)) {
                return equal("the manager on the bus", &manager(c)?, &owner);
            }
            let done = c.run(&format!("ulimit -s unlimited; {AS} {LIST} as 100000 $(yes @@.service | head -n 100000) >/dev/null"))?;
            check!(done.code == 1, "the bus lets more than 32 MiB through: {}", done.err);
            c.ok("systemctl is-active @@")?;
            equal("the manager on the bus", &manager(c)?, &owner)
        },
    )
    .alone(),
    Scenario::new("authority/re-execution-tells-those-who-wait", &[UNIT], AS_ROOT, |c| {
        let pid = polkit(c)?;
        c.ok(&format!("kill -STOP {pid}"))?;
        c.ok(&format!("({AS} {CALL}.StartUnit string:@@.service string:replace 2>&1; echo status $?) >/t/@@/said &"))?;
        c.rest(300);
        c.ctl("daemon-reexec")?;
        c.ctl("start @@")?;
        // The reference closes the connection, which ends the call; here polkit's answer does.
        c.ok(&format!("kill -CONT {pid} && {AS} systemctl --no-ask-password stop @@ 2>/dev/null; sleep 0.2"))?;
        c.until("the caller is told", || Ok(c.read("/t/@@/said").contains("status 1")))?;
        check!(c.read("/t/@@/said").starts_with("Error "), "said: {}", c.read("/t/@@/said"));
        check!(!c.read("/t/@@/said").contains("timed out"), "said: {}", c.read("/t/@@/said"));
        Ok(())
    })
    .with_packages(POLKIT),
];

/// Who is `org.freedesktop.systemd1` on the bus.
fn manager(c: &Case) -> Result<String, String> {
    c.ok("busctl call org.freedesktop.DBus /org/freedesktop/DBus org.freedesktop.DBus GetNameOwner s org.freedesktop.systemd1")
}

/// polkit's process.
fn polkit(c: &Case) -> Result<String, String> {
    c.ctl("start polkit.service")?;
    c.show("polkit.service", "MainPID")
}

fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or("").to_owned()
}

/// Runs each as somebody else: `systemctl` and its like never ask for a password.
fn as_other(c: &Case, command: &str) -> Result<(i32, String), String> {
    let command =
        command.replace("CALL", CALL).replace("systemctl ", "systemctl --no-pager --no-ask-password ");
    let command = command.replace("systemd-run ", "systemd-run --no-ask-password ");
    let done = c.run(&format!("{AS} {command}"))?;
    Ok((done.code, first_line(&done.err)))
}

fn refuses(c: &Case, reason: &str, code: i32, error: &str) -> Outcome {
    c.ctl("start @@")?;
    let main = c.show("@@.service", "MainPID")?;
    for (command, text) in CHANGES.iter().filter(|(command, _)| is_known(command)) {
        let started = ["start ", "stop ", "restart ", "reload ", "isolate "];
        let starts = started.iter().any(|verb| command.starts_with(&format!("systemctl {verb}")));
        let expected = (if starts { code } else { 1 }, c.text(&text.replace('!', reason)));
        equal(command, &as_other(c, command)?, &expected)?;
    }
    let denied = as_other(c, "CALL.StartUnit string:@@.service string:replace")?;
    equal("the error's name", &denied.1, &format!("Error {error}"))?;
    for (command, text) in WRONG.iter().filter(|(command, _)| is_known(command)) {
        let (code, said) = as_other(c, command)?;
        let text = c.text(text);
        let same = text.strip_suffix('*').map_or(said == text, |begin| {
            // Not for a reason that would have nothing to do with what is wrong.
            said.len() > begin.len() && said.starts_with(begin) && !said.contains(reason)
        });
        check!(code == 1 && same, "{command}: status {code}: {said}, not {text}");
    }
    for command in READS {
        let (code, said) = as_other(c, command)?;
        check!(code == 0, "{command}: status {code}: {said}");
    }
    equal("nothing happened", &c.show("@@.service", "MainPID")?, &main)
}
