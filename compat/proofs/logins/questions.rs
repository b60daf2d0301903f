//! What the login manager answers: every interface, property and error that has to do with sessions, beside the reference's.
use runstead_compat::machine::Machine;
use runstead_compat::proof::Proof;
use runstead_compat::root::Distribution;
use runstead_compat::{Error, Result};

const SCRIPT: &str = include_str!("questions.sh");
/// Fewer answers mean that the script did not get far.
const AT_LEAST: usize = 300;
/// Answers that are to differ: devices are not handed out by ours yet (COMPAT.md).
const OURS: &str = "TakeControl is not supported by this login manager yet";

const DESCRIPTORS: &str = include_str!("descriptors.py");

/// A session outlives its login manager.
const RESTART: &str = r#"
rm -f /tmp/sid; su ann -c 'echo $XDG_SESSION_ID >/tmp/sid; sleep 20' & p=$!
for i in $(seq 50); do [ -s /tmp/sid ] && break; sleep 0.1; done
before=$(loginctl list-sessions --no-legend | sort)
systemctl restart systemd-logind; after=$(loginctl list-sessions --no-legend | sort)
[ "$before" = "$after" ] && loginctl show-session -P State $(cat /tmp/sid) || echo "$before / $after"
pkill -x -u ann sleep; wait $p; for i in $(seq 50); do [ -e /run/systemd/sessions/$(cat /tmp/sid) ] || break; sleep 0.1; done
ls /run/systemd/sessions | grep -c "^$(cat /tmp/sid)"
"#;

/// The answers, a line each.
pub fn ask(machine: &Machine) -> Result<Vec<String>> {
    let text = machine.shell(SCRIPT)?.up_to(0)?;
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    if lines.len() < AT_LEAST {
        return Err(Error::new(format!("only {} answers: {text}", lines.len())));
    }
    Ok(lines)
}

/// The same answers as the reference gives, and sessions that outlive a restart.
pub fn prove(proof: &mut Proof, machine: &Machine, answers: &[String], expected: Option<&[String]>) {
    // What an older login manager answers is no measure.
    let newest = matches!(Distribution::from_env(), Ok(Distribution::Debian13));
    if let Some(expected) = expected.filter(|_| newest) {
        let answers: Vec<&String> = answers.iter().filter(|line| !line.contains(OURS)).collect();
        let differ = |(n, line): (usize, &String)| {
            let there = answers.get(n).map_or("nothing", |line| line.as_str());
            (there != line).then(|| format!("line {n}: {there:?}, reference {line:?}"))
        };
        let wrong: Vec<String> = expected.iter().enumerate().filter_map(differ).take(5).collect();
        proof.check(
            wrong.is_empty() && answers.len() == expected.len(),
            format!("{} of {} answers; {wrong:?}", answers.len(), expected.len()),
        );
    }
    let strange = machine.shell(&format!("cat >/tmp/fds.py <<'END'\n{DESCRIPTORS}END\npython3 /tmp/fds.py"));
    let strange = strange.and_then(|output| output.up_to(0));
    proof.check(
        strange.as_deref().is_ok_and(|text| text == "100\n0\n"),
        format!("answered with descriptors that nobody asked for, and descriptors that stayed: {strange:?}"),
    );
    let kept = machine.shell(RESTART).and_then(|output| output.up_to(1));
    let kept = kept.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "));
    proof.check(
        kept.as_deref().is_ok_and(|text| text == "active 0"),
        format!("a session outlives a restart of the login manager, and ends: {kept:?}"),
    );
}
