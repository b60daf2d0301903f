//! A machine with a real kernel.
use runstead_compat::machine::UnderTest;
use runstead_compat::root::{self, Distribution};
use runstead_compat::vm::{Vm, VmOptions};
use std::time::Duration;

fn main() {
    let under_test = UnderTest::from_env().unwrap();
    let tree = root::of(Distribution::Debian13Kernel).unwrap();
    let t = std::time::Instant::now();
    let mut options = VmOptions::new(under_test, tree);
    options.words = std::env::var("WORDS").unwrap_or_default();
    let mut vm = Vm::boot(&options).unwrap();
    println!("{:?} started", t.elapsed());
    if let Err(e) = vm.wait_agent(Duration::from_secs(120)) {
        println!("{e}");
        return;
    }
    println!("{:?} agent", t.elapsed());
    for c in std::env::args().skip(1).filter(|a| !a.starts_with("--")) {
        println!("$ {c}\n{}", vm.text(&c).unwrap());
    }
    println!("{:?} asked", t.elapsed());
    vm.start_command("systemctl poweroff").unwrap();
    println!("{:?}", vm.wait_end(Duration::from_secs(60)));
    println!("{:?} ended", t.elapsed());
    for d in ["root", "data"] {
        println!("{d}: {:?}", vm.check_disk(d));
    }
    println!("{}", vm.tail(30));
}
