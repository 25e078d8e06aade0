//! Tasks of tokio lead one after the other: each holds a port while it does, and hands it over.
//!
//! Beside a switch (`bypssd dev`), in two terminals; end the one that leads, and the other does:
//!
//! ```text
//! cargo run -p client --example lead -- 127.0.0.1:7400 node-1
//! cargo run -p client --example lead -- 127.0.0.1:7400 node-2
//! ```
#![forbid(unsafe_code)]
#![expect(clippy::print_stdout, reason = "that is what it does")]

use std::error::Error;
use std::time::Duration;

use client::future::Client;
use client::{Config, Event, PortGuard};
use tokio::time::{interval, timeout};

/// The port whose holder leads.
const LEADER: &str = "example/leader";

/// Steps of a turn, after which others may lead.
const STEPS: u32 = 10;

/// How long a step takes at most.
const STEP: Duration = Duration::from_millis(200);

/// What ends a task.
pub(crate) type Ended = Box<dyn Error + Send + Sync>;

/// Waits until it leads, takes its turn, and says how many steps that had.
pub(crate) async fn lead(client: &Client) -> Result<u32, Ended> {
    // A place of its own: whatever else ends a wait, its turn is kept.
    let mut place = client.queue(LEADER)?;
    let guard = loop {
        tokio::select! {
            granted = place.wait() => break granted?,
            event = client.recv() => tell(&event?),
        }
    };
    println!("leads, with token {}", guard.token());
    let steps = work(client, &guard).await?;
    println!("led for {steps} steps; {:?}", guard.ended());
    // Dropped, the guard stops being an owner and is released: the next in the queue leads.
    Ok(steps)
}

/// Works for a turn, or until the port is lost. No step outlasts that.
async fn work(client: &Client, guard: &PortGuard) -> Result<u32, Ended> {
    let mut ticks = interval(STEP);
    for step in 0..STEPS {
        ticks.tick().await;
        if guard.remaining() < STEP {
            return Ok(step);
        }
        // Storage would be given guard.token() with each write, so that it can refuse an older leader.
        client.broadcast(format!("step {step}").as_bytes()).await?;
    }
    Ok(STEPS)
}

fn tell(event: &Event<PortGuard>) {
    if let Event::Message { blob, .. } = event {
        println!("hears {}", String::from_utf8_lossy(blob));
    } else {
        println!("{event:?}");
    }
}

#[tokio::main]
async fn main() -> Result<(), Ended> {
    let mut arguments = std::env::args().skip(1);
    let endpoint = arguments.next().unwrap_or_else(|| "127.0.0.1:7400".to_owned());
    let node = arguments.next().unwrap_or_else(|| "node-1".to_owned());
    let client = Client::start(Config::new(&endpoint, &node), None)?;
    // A switch that is not up yet is waited for; what no time mends ends it at once.
    timeout(Duration::from_secs(10), client.connect()).await??;
    loop {
        lead(&client).await?;
    }
}
