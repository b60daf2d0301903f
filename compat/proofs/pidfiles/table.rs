//! What a manager makes of a PID file: how a forking service writes it, and what becomes of the service.

/// A service that says its main process by a PID file.
pub struct Row {
    /// What is odd about it: a word.
    pub name: &'static str,
    /// What the service's shell does once its daemon `$p` runs; `$f` is the file in the directory `$d` of its own, `$other` a process of another service.
    pub script: &'static str,
    /// `ActiveState` and `Result` in the end; empty where systemd is not asked.
    pub verdict: &'static str,
    /// The same under runstead, where COMPAT.md says that it differs.
    pub ours: Option<&'static str>,
    /// What runstead's journal says of it; nothing is asked when it is empty.
    pub says: &'static str,
}

const ACTIVE: &str = "active success";
/// Its daemon runs, so that the file may come yet.
const WAITS: &str = "failed timeout";
/// Nobody of it is left who could write the file, or it cannot be waited for.
const GONE: &str = "failed protocol";

const fn row(name: &'static str, verdict: &'static str, script: &'static str) -> Row {
    Row { name, script, verdict, ours: None, says: "" }
}

impl Row {
    const fn ours(self, verdict: &'static str) -> Row {
        Row { ours: Some(verdict), ..self }
    }

    const fn says(self, says: &'static str) -> Row {
        Row { says, ..self }
    }
}

/// Makes the daemon one whose number is none of base 8: with zeroes before it the reference would read another number,
/// which may be that of a process that lives.
pub const DECIMAL: &str =
    "decimal() { until case $p in *[89]*) true;; *) false;; esac; do kill $p; sleep 1d & p=$!; done; }\n";

/// The rows. Uids 1 and 2 are users that own nothing of the system.
pub const ROWS: &[Row] = &[
    // What readers have to bear with (Filesystem Hierarchy Standard 3.0, section 3.15.2).
    row("plain", ACTIVE, "echo $p >$f"),
    row("no-newline", ACTIVE, "printf %s $p >$f"),
    row("space-before", ACTIVE, "echo \"   $p\" >$f"),
    row("space-behind", WAITS, "printf '%s  \\t \\n' $p >$f").ours(ACTIVE),
    row("tab-before", ACTIVE, "printf '\\t%s\\n' $p >$f"),
    row("carriage-return", ACTIVE, "printf '%s\\r\\n' $p >$f"),
    row("empty-line-before", WAITS, "printf '\\n%s\\n' $p >$f").ours(ACTIVE),
    row("zero-before", WAITS, "decimal; echo 0$p >$f").ours(ACTIVE),
    row("zeroes-before", WAITS, "decimal; printf '%032d\\n' $p >$f").ours(ACTIVE),
    row("further-line", ACTIVE, "printf '%s\\nfurther\\n' $p >$f"),
    row("further-numbers", ACTIVE, "printf '%s\\n1\\n2\\n' $p >$f"),
    row("long-space-before", ACTIVE, "printf '%200s\\n' $p >$f"),
    row("long-space-behind", WAITS, "printf '%-200s\\n' $p >$f").ours(ACTIVE),
    row("long-file", ACTIVE, "{ echo $p; head -c 100000 /dev/zero; } >$f"),
    row("zero-byte-behind", ACTIVE, "printf '%s\\0' $p >$f"),
    // What is no number of a process.
    row("empty", WAITS, ": >$f").says("it is empty"),
    row("newline", WAITS, "echo >$f"),
    row("space", WAITS, "echo '   ' >$f"),
    row("letters", WAITS, "echo pid >$f").says("does not say a decimal number"),
    row("word-before", WAITS, "echo pid $p >$f"),
    row("word-behind", WAITS, "echo $p pid >$f"),
    row("two-numbers", WAITS, "echo $p $p >$f"),
    row("dot-behind", WAITS, "echo $p. >$f"),
    row("plus", ACTIVE, "echo +$p >$f").ours(WAITS),
    row("hexadecimal", ACTIVE, "printf '0x%x\\n' $p >$f").ours(WAITS),
    row("negative", WAITS, "echo -$p >$f").says("a negative number"),
    row("zero", WAITS, "echo 0 >$f").says("it says 0"),
    row("minus-one", WAITS, "echo -1 >$f"),
    row("too-big", WAITS, "echo 4194305 >$f").says("there is no process 4194305"),
    row("two-to-the-31", WAITS, "echo 2147483648 >$f"),
    row("wraps-at-32-bits", WAITS, "echo $((4294967296 + p)) >$f"),
    row("wraps-at-64-bits", WAITS, "echo 1844674407370955$((1616 + p)) >$f"),
    // Processes that are not the service's daemon.
    row("manager", WAITS, "echo 1 >$f").says("process 1 is the manager"),
    row("starter", WAITS, "echo $$ >$f"),
    row("dead", WAITS, "sh -c 'echo $$' >$f").says("there is no process"),
    row("dead-and-daemon-too", GONE, "kill $p; wait; echo $p >$f"),
    row(
        "zombie",
        WAITS,
        // It ends when its parent has become a program that reaps nothing: a shell would.
        "(sh -c 'sh -c \"until grep -q sleep /proc/\\$PPID/comm; do sleep 0.02; done\" & echo $! >'$f'; exec sleep 1d' &)
        for i in $(seq 200); do grep -q '^State:.Z' /proc/$(cat $f)/status && exit; sleep 0.05; done; exit 9",
    ),
    row("never-written", WAITS, ":"),
    // Gone before the starter is: the reference now and then misses an emptiness that comes later.
    row("never-written-and-daemon-gone", GONE, "kill $p; wait"),
    row("written-later", ACTIVE, "(sleep 0.5; echo $p >$f) &"),
    row("replaced-later", ACTIVE, "echo x >$f; (sleep 0.5; echo $p >$f~; mv $f~ $f) &"),
    row(
        "grandchild",
        ACTIVE,
        "(sh -c 'sleep 1d & echo $! >'$f'; exec sleep 1d' &) ; until [ -s $f ]; do sleep 0.05; done",
    ),
    row("foreign", ACTIVE, "echo $other >$f"),
    row("foreign-and-daemon-gone", ACTIVE, "kill $p; wait; echo $other >$f"),
    row("foreign-in-a-file-of-a-user", WAITS, "echo $other >$f; chown 1 $f")
        .says("the file belongs to user 1, not to root"),
    row("foreign-in-a-file-of-a-group", ACTIVE, "echo $other >$f; chgrp 1 $f; chmod 664 $f"),
    row("foreign-before-it-began", ACTIVE, "echo $other >$f; touch -d 2001-01-01 $f")
        .ours(WAITS)
        .says("began after the file was written"),
    // Whose file it is, and where.
    row("file-of-a-user", ACTIVE, "echo $p >$f; chown 1 $f"),
    row("unreadable", ACTIVE, "echo $p >$f; chmod 0 $f"),
    row("for-all-to-write", ACTIVE, "echo $p >$f; chmod 666 $f"),
    row("directory-of-a-user", ACTIVE, "echo $p >$f; chown 1 $d $f"),
    row("directory-of-a-user-file-of-root", ACTIVE, "echo $p >$f; chown 1 $d"),
    row("directory-of-a-user-file-of-another", ACTIVE, "echo $p >$f; chown 1 $d; chown 2 $f"),
    row("directory-of-a-user-foreign", WAITS, "echo $other >$f; chown 1 $d $f"),
    row("directory-of-a-user-file-of-root-foreign", WAITS, "echo $other >$f; chown 1 $d")
        .says("/run/pf/directory-of-a-user-file-of-root-foreign belongs to user 1"),
    row("sticky-directory-file-of-a-user-foreign", WAITS, "echo $other >$f; chmod 1777 $d; chown 1 $f"),
    // Links.
    row("link", ACTIVE, "echo $p >$d/a; ln -s a $f"),
    row("absolute-link", ACTIVE, "echo $p >$d/a; ln -s $d/a $f"),
    row("link-foreign", ACTIVE, "echo $other >$d/a; ln -s a $f"),
    row("link-of-a-user", ACTIVE, "echo $p >$d/a; ln -s a $f; chown -h 1 $f"),
    row("link-of-a-user-to-his-file", ACTIVE, "echo $p >$d/a; ln -s a $f; chown -h 1 $f $d/a"),
    row("link-of-a-user-foreign", ACTIVE, "echo $other >$d/a; ln -s a $f; chown -h 1 $f")
        .ours(WAITS)
        .says("/run/pf/link-of-a-user-foreign/pid belongs to user 1"),
    row("absolute-link-of-a-user-foreign", WAITS, "echo $other >$d/a; ln -s $d/a $f; chown -h 1 $f")
        .says("/run/pf/absolute-link-of-a-user-foreign/pid belongs to user 1"),
    row("link-to-the-file-of-another-service", WAITS, "ln -s /run/foreign.pid $f; chown -h 1 $d $f"),
    row("links-to-each-other", GONE, "ln -s a $f; ln -s pid $d/a").ours(WAITS),
    row("link-to-nothing", WAITS, "ln -s a $f"),
    row("hard-link", ACTIVE, "echo $p >$d/a; ln $d/a $f"),
    // What is no file.
    row("directory", WAITS, "mkdir $f").says("not a regular file"),
    row("socket", WAITS, "socat UNIX-LISTEN:$f - </dev/null & until [ -S $f ]; do sleep 0.05; done"),
    row("device", WAITS, "ln -s /dev/null $f"),
    row("endless-device", WAITS, "ln -s /dev/zero $f"),
    // In open(2) of these systemd waits for ever, as PID 1.
    row("fifo", "", "mkfifo $f").ours(WAITS).says("not a regular file"),
    row("fifo-with-a-writer", "", "mkfifo $f; (echo $p >$f) &").ours(WAITS),
];
