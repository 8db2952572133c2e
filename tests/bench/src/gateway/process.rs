use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use crate::Outcome;

/// A process of this benchmark: this binary with another command. Dropped, it ends.
pub struct Part {
    child: Child,
    pub address: SocketAddr,
}

impl Part {
    /// A process that runs already.
    pub const fn of(child: Child, address: SocketAddr) -> Self {
        Self { child, address }
    }

    /// Starts one; it prints its address as its first line.
    pub fn start(args: &[&str]) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?).args(args).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let out = child.stdout.take().ok_or("no output")?;
        BufReader::new(out).read_line(&mut line)?;
        let address = line.trim().parse().map_err(|_| format!("`{}` did not start: {line}", args.join(" ")))?;
        Ok(Self { child, address })
    }

    /// User and system time so far, in seconds.
    pub fn processor_seconds(&self) -> Outcome<f64> {
        // Ticks of clock_gettime's cousin in /proc: a hundred to the second on Linux.
        let text = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let after = text.rsplit(')').next().ok_or("no fields")?;
        let ticks = after.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
        Ok(ticks.sum::<f64>() / 100.0)
    }

    /// Resident memory.
    pub fn resident_mib(&self) -> Outcome<f64> {
        let text = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id()))?;
        let pages: f64 = text.split(' ').nth(1).ok_or("no fields")?.parse()?;
        Ok(pages * 4_096.0 / f64::from(1 << 20))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
