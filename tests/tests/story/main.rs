//! The main job, as people live it: somebody starts a remote-access tool, the console says so and why, a person
//! cuts the laptop off, and it reaches the collector and nothing else until it is released. On a network of
//! its own, with the real programs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "helpers of a test are the test")]

mod company;
mod desk;

use std::time::{Duration, Instant};

use company::{COLLECTOR, Company, ELSEWHERE, HELP_DESK, LIMIT, NAME, WEB, end, start_screen};
use desk::Terminal;
use farmwatch_tests::lan::{v4, v6};
use farmwatch_tests::web::Session;
use farmwatch_tests::world::{Program, run};

#[test]
fn a_remote_tool_is_seen_and_the_laptop_is_cut_off_until_it_is_released() {
    let allow = format!("allow = [\"{}\"]", v4(HELP_DESK));
    let company = Company::new(
        &[
            ("\nallow = []", &format!("\n{allow}")),
            ("contact = \"\"", "contact = \"the help desk, 555-0100\""),
        ],
        "",
    );
    let mut laptop = company.laptop(2);
    let device = company.enrol(&mut laptop, NAME);
    company.assert_open(&laptop);

    // Somebody starts a tool.
    let (_screen, display) = start_screen(&laptop);
    let terminal = Terminal::open(&laptop);
    let mut command =
        laptop.program(&["x11vnc", "-display", &display, "-forever", "-nopw", "-quiet", "-noshm"]);
    let mut tool =
        Program::start(command.args(["-rfbport", "5900"]), &laptop.folder().join("x11vnc.log")).unwrap();
    let started = Instant::now();
    let (alert, _) = company.until(&laptop, "an alert about x11vnc", || {
        assert!(tool.runs(), "{}", tool.said());
        let alerts = company.at_console(Session::alerts).unwrap();
        alerts.into_iter().find(|a| a["kind"] == "policy" && a["key"].as_str().unwrap().ends_with("x11vnc"))
    });
    println!(
        "x11vnc started → alert on the console: {:.2} s (no process events here)",
        started.elapsed().as_secs_f32()
    );
    let says = format!("{} {} {}", alert["title"], alert["summary"], alert["waterfall"]);
    for word in ["x11vnc", "remote"] {
        assert!(says.contains(word), "the alert does not say {word}: {says}");
    }
    assert_eq!(alert["devices"][0], device.as_str());

    // A person cuts it off, from the alert's page.
    let page = format!("/alerts/{}", alert["id"].as_str().unwrap());
    let ordered = Instant::now();
    company.at_console(|console| {
        let fields = [("reason", "x11vnc serves, nobody asked for it"), ("back", page.as_str())];
        console.submit(&page, &format!("/devices/{device}/isolate"), &fields).unwrap();
    });
    company.until(&laptop, "the isolation", || (company.isolation(&device) == "isolated").then_some(()));
    println!("isolation ordered → the laptop says that it is done: {:.2} s", ordered.elapsed().as_secs_f32());
    company.assert_cut_off(&laptop);
    assert!(laptop.host.connects(&v4(HELP_DESK), WEB), "what policy allows stays open");
    assert!(laptop.host.succeeds("busybox nslookup collector.farmwatch.test 10.77.0.3"), "its name is found");
    let told = terminal.read(LIMIT, "555-0100");
    assert!(told.contains("cut this laptop off"), "{told}");
    let shown = company.at_console(|console| console.page(&page)).unwrap();
    assert!(shown.contains("isolated, as the laptop says"), "the page does not say it: {shown}");

    // Reports still come.
    end(&laptop, "x11vnc");
    company.until(&laptop, "news from the isolated laptop", || {
        let facts = &company.device(&device)["facts"];
        (facts["remote_tool/x11vnc"]["serving"] != true).then_some(())
    });

    // A crash of the agent opens nothing, nor does a restart of the laptop.
    laptop.kill().unwrap();
    company.assert_cut_off(&laptop);
    laptop.start().unwrap();
    company
        .until(&laptop, "the agent", || (laptop.said().matches("running device").count() >= 2).then_some(()));
    company.assert_cut_off(&laptop);
    laptop.reboot().unwrap();
    run(&mut laptop.command(&["isolation", "restore"]).unwrap()).unwrap();
    company.assert_cut_off(&laptop);
    laptop.start().unwrap();
    let status = laptop.isolation().unwrap();
    assert_eq!((&status["state"], &status["in_force"]), (&"isolated".into(), &true.into()), "{status}");

    company.until(&laptop, "the agent", || {
        let reports = || company.device(&device)["facts"]["isolation/self"]["state"] == "isolated";
        (laptop.said().matches("running device").count() >= 3 && reports()).then_some(())
    });

    // Somebody with root takes the rules away: they come back.
    run(&mut laptop.program(&["nft", "flush", "ruleset"])).unwrap();
    let (_, after) = company.until(&laptop, "the rules to come back", || {
        laptop.isolation().ok().filter(|status| status["in_force"] == true)
    });
    println!("rules taken away → back: {:.2} s", after.as_secs_f32());

    // Released, everything is open again.
    company.at_console(|console| {
        let fields = [("reason", "it was IT's own helper"), ("back", page.as_str())];
        console.submit(&page, &format!("/devices/{device}/release"), &fields).unwrap();
    });
    let released = || (company.isolation(&device) == "released").then_some(());
    let ((), after) = company.until(&laptop, "the release", released);
    println!("release ordered → the laptop says that it is done: {:.2} s", after.as_secs_f32());
    assert!(
        after < Duration::from_secs(30),
        "the order did not come in on the connection that waited for it"
    );
    company.assert_open(&laptop);
    assert!(terminal.read(LIMIT, "open again").contains("open again"));
    let audit = run(&mut company.collector.command(&["audit", "list", "--json"]).unwrap()).unwrap();
    let audit = String::from_utf8_lossy(&audit.stdout).into_owned();
    for step in ["x11vnc serves, nobody asked for it", "it was IT's own helper"] {
        assert!(audit.contains(step), "the audit misses {step:?}: {audit}");
    }
}

#[test]
fn by_policy_a_laptop_with_an_ip_kvm_is_cut_off_without_anybody_and_opens_when_its_time_is_over() {
    let policy = [
        ("mode = \"dry-run\"", "mode = \"auto\""),
        ("threshold = 0.99", "threshold = 0.05"),
        ("expiry_hours = 24", "expiry_hours = 6"),
    ];
    // This company wants to hear of every IP-KVM.
    let company = Company::new(&policy, "[threshold]\ndevice = 0.05\n");
    let mut laptop = company.laptop(2);
    desk::with_pikvm(&mut laptop);
    let device = company.enrol(&mut laptop, &v4(COLLECTOR));
    company
        .until(&laptop, "Farmwatch to isolate", || (company.isolation(&device) == "isolated").then_some(()));
    company.assert_cut_off(&laptop);
    let audit = run(&mut company.collector.command(&["audit", "list", "--json"]).unwrap()).unwrap();
    let audit = String::from_utf8_lossy(&audit.stdout).into_owned();
    assert!(audit.contains("auto: isolates"), "the audit does not say why: {audit}");

    // A record of an isolation that somebody wrote by hand isolates nothing: the order in it is signed.
    let mut other = company.laptop(4);
    company.enrol(&mut other, &v4(COLLECTOR));
    let record = std::fs::read_to_string(laptop.folder().join("state/isolation.json")).unwrap();
    let mut record: serde_json::Value = serde_json::from_str(&record).unwrap();
    let signature = record["envelope"]["signature"].as_str().unwrap().to_owned();
    record["envelope"]["signature"] = signature.chars().rev().collect::<String>().into();
    other.kill().unwrap();
    std::fs::write(other.folder().join("state/isolation.json"), record.to_string()).unwrap();
    let restored = other.command(&["isolation", "restore"]).unwrap().output().unwrap();
    assert!(!restored.status.success(), "a forged order was taken");
    assert!(String::from_utf8_lossy(&restored.stderr).contains("refused"), "{restored:?}");
    assert!(other.host.connects(&v4(ELSEWHERE), WEB));

    // Five hours of sleep are not enough, seven are.
    laptop.kill().unwrap();
    laptop.start_after_sleep(Duration::from_hours(5)).unwrap();
    std::thread::sleep(Duration::from_secs(3));
    company.assert_cut_off(&laptop);
    laptop.kill().unwrap();
    laptop.start_after_sleep(Duration::from_hours(7)).unwrap();
    company.until(&laptop, "the end of the isolation", || {
        (company.isolation(&device) == "released").then_some(())
    });
    company.assert_open(&laptop);
}

#[test]
fn a_laptop_that_would_cut_itself_off_from_the_collector_takes_the_rules_back_and_says_so() {
    let company = Company::new(&[], "");
    let mut laptop = company.laptop(2);
    // A proxy on the laptop itself leads to the collector: the rules know the proxy's address, and drop what it sends.
    let (proxy, to) = (laptop.host.inside(desk::proxy_socket).unwrap(), company.collector.agents_port);
    let port = proxy.local_addr().unwrap().port();
    let way = laptop.host.inside(|| desk::serve_proxy(proxy, &v4(COLLECTOR), to));
    way.unwrap();
    let config = laptop.folder().join("agent.toml");
    std::fs::write(config, format!("proxy = \"http://127.0.0.1:{port}\"\n")).unwrap();
    let device = company.enrol(&mut laptop, &v4(COLLECTOR));
    let mut command = company.collector.command(&["isolate", &device, "--reason", "a drill"]).unwrap();
    run(&mut command).unwrap();
    company.until(&laptop, "the failure", || (company.isolation(&device) == "failed").then_some(()));
    company.assert_open(&laptop);
    let fact = &company.device(&device)["facts"]["isolation/self"];
    assert!(
        fact["error"].as_str().unwrap().contains("agent.isolation.allow"),
        "it does not say what to do: {fact}"
    );
    let page = company.at_console(|console| console.page(&format!("/devices/{device}"))).unwrap();
    assert!(page.contains("not isolated"), "the page does not say it: {page}");
}

#[test]
fn the_collector_stays_in_reach_over_ipv6_alone_and_by_a_name_of_the_hosts_file() {
    let company = Company::new(&[], "");
    for (number, host) in [(2, format!("[{}]", v6(COLLECTOR))), (4, "collector-by-hosts".to_owned())] {
        let mut laptop = company.laptop(number);
        if number == 4 {
            let hosts = format!("127.0.0.1 localhost\n{} {NAME}\n", v6(COLLECTOR));
            std::fs::write(laptop.folder().join("hosts"), hosts).unwrap();
        }
        let host = if number == 4 { NAME } else { &host };
        let device = company.enrol(&mut laptop, host);
        run(&mut company.collector.command(&["isolate", &device, "--reason", "a drill"]).unwrap()).unwrap();
        company.until(&laptop, "the isolation", || (company.isolation(&device) == "isolated").then_some(()));
        assert!(!laptop.host.connects(&v4(ELSEWHERE), WEB) && !laptop.host.connects(&v6(ELSEWHERE), WEB));
        assert!(laptop.host.connects(&v6(COLLECTOR), company.collector.agents_port));
        run(&mut company.collector.command(&["release", &device, "--reason", "over"]).unwrap()).unwrap();
        company.until(&laptop, "the release", || (company.isolation(&device) == "released").then_some(()));
        company.assert_open(&laptop);
    }
}
