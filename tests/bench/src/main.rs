//! WIP
use bench::runtime::Function;
use bench::stage::Stage;
use bench::usage::{Meter, memory};
use bench::workload::Workload;
use local_stack::Result;

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().unwrap();
    let n: u32 = args.next().unwrap().parse().unwrap();
    let names: Vec<String> = args.collect();
    let mut stage = Stage::start(folder.as_ref())?;
    for name in names {
        let workload = Workload::of(&name)?;
        let mut program = stage.program(&name)?;
        if let Ok(p) = std::env::var("PREFIX") {
            let mut c: Vec<String> = p.split(" ").map(str::to_owned).collect();
            c.append(&mut program.command);
            program.command = c;
        }
        let mut colds = vec![];
        for _ in 0..(if std::env::var("PREFIX").is_ok() {
            1
        } else {
            20
        }) {
            let (_f, cold) = Function::start(&program)?;
            colds.push(cold);
        }
        colds.sort();
        let (mut f, _) = Function::start(&program)?;
        let start_cpu = bench::usage::cpu(f.pid())?;
        let batch: usize = std::env::var("BATCH").map_or(1, |b| b.parse().unwrap());
        let event = if batch > 1 {
            serde_json::json!({"Records": stage.fresh_messages(batch)?}).to_string()
        } else {
            workload.event(&mut stage)?
        };
        let first = f.invoke(event.as_bytes())?;
        println!(
            "{}",
            String::from_utf8_lossy(&first.body)
                .chars()
                .take(150)
                .collect::<String>()
        );
        let mut warm = vec![];
        let mut cpu = std::time::Duration::ZERO;
        for _ in 0..n {
            let batch: usize = std::env::var("BATCH").map_or(1, |b| b.parse().unwrap());
            let event = if batch > 1 {
                serde_json::json!({"Records": stage.fresh_messages(batch)?}).to_string()
            } else {
                workload.event(&mut stage)?
            };
            let meter = Meter::start([f.pid()])?;
            let a = f.invoke(event.as_bytes())?;
            std::thread::sleep(std::time::Duration::from_micros(300));
            cpu += meter.read()?;
            warm.push(a.elapsed);
        }
        warm.sort();
        let m = memory(f.pid())?;
        if std::env::var("PREFIX").is_ok() {
            let _ = std::process::Command::new("kill")
                .arg(f.pid().to_string())
                .status();
            std::thread::sleep(std::time::Duration::from_secs(3));
        }
        println!(
            "{name:14} cold {:?} startcpu {:?} first {:?} warm {:?} cpu/1000 {:.3}s rss {:.2} pss {:.2} size {}",
            colds[colds.len() / 2],
            start_cpu,
            first.elapsed,
            warm[warm.len() / 2],
            cpu.as_secs_f64() / f64::from(n) * 1000.0,
            m.resident as f64 / 1e6,
            m.proportional as f64 / 1e6,
            std::fs::metadata(stage.executable(&name)).unwrap().len()
        );
    }
    Ok(())
}
