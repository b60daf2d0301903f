//! A disk that is plugged in, wanted units, an alias, and its removal.
use crate::{Checks, file};
use runstead_compat::machine::Entry;

const RULE: &str = "ACTION!=\"remove\", SUBSYSTEM==\"block\", ENV{ID_SERIAL}==\"hotplug\", TAG+=\"systemd\", \
    ENV{SYSTEMD_WANTS}+=\"plugged@%k.service\", ENV{SYSTEMD_ALIAS}=\"/dev/hotdisk\"\n";
const PLUGGED: &str =
    "[Unit]\nBindsTo=dev-%i.device\nAfter=dev-%i.device\n[Service]\nExecStart=/bin/sleep 1000\n";
const WAITING: &str = "[Unit]\nRequires=dev-hotdisk.device\nAfter=dev-hotdisk.device\n[Service]\nType=oneshot\n\
    RemainAfterExit=yes\nExecStart=/bin/true\n";

pub fn files() -> Vec<(String, Entry)> {
    vec![
        file("/etc/udev/rules.d/90-hotplug.rules", RULE),
        file("/etc/systemd/system/plugged@.service", PLUGGED),
        file("/etc/systemd/system/waiting.service", WAITING),
    ]
}

const ADD_DISK: [&str; 2] = [
    r#"{"execute": "blockdev-add", "arguments": {"driver": "null-co", "node-name": "hot", "size": 1048576, "read-zeroes": true}}"#,
    r#"{"execute": "device_add", "arguments": {"driver": "virtio-blk-pci", "id": "hot", "drive": "hot", "serial": "hotplug"}}"#,
];
const REMOVE_DISK: &str = r#"{"execute": "device_del", "arguments": {"id": "hot"}}"#;

pub fn prove(checks: &mut Checks<'_>) {
    checks.proof.step(format!("{}: a disk comes and goes", checks.who));
    let jobs = "systemctl list-jobs --no-legend | sed 's/^ *[0-9]* *//' | tr -s ' ' | sort | paste -sd,";
    checks.text("a job begins to wait", "systemctl start --no-block waiting && echo yes", "yes");
    checks.soon(
        "it waits for the device",
        jobs,
        "dev-hotdisk.device start running,waiting.service start waiting",
    );
    for request in ADD_DISK {
        let done = checks.vm.monitor(request);
        checks.outcome("the disk is plugged in", done);
    }
    checks.soon("the device is there", "systemctl is-active dev-vdd.device", "active");
    checks.soon(
        "its alias, too, and what waited goes on",
        "systemctl is-active dev-hotdisk.device waiting.service | xargs",
        "active active",
    );
    checks.soon(
        "SYSTEMD_WANTS starts its unit",
        "systemctl list-units --no-legend --plain 'plugged@*' | tr -s ' ' | cut -d' ' -f1,3",
        "plugged@vdd.service active",
    );
    let following = "systemctl show dev-hotdisk.device -p Following -p SysFSPath | sed 's/.*=//; s/.*block.vdd.*/vdd/; s/.*block-vdd.*/vdd/' | sort -u";
    checks.text("all follow the one below /sys", following, "vdd");
    let done = checks.vm.monitor(REMOVE_DISK);
    checks.outcome("the disk is pulled out", done);
    checks.soon(
        "the device is gone",
        "systemctl is-active dev-vdd.device dev-hotdisk.device | xargs",
        "inactive inactive",
    );
    checks.soon("what was bound to it stops", "systemctl is-active plugged@vdd.service", "inactive");
    checks.text("what only required it stays", "systemctl is-active waiting.service", "active");
}
