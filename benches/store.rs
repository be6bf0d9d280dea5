//! Group commit against single commits, on a file beside the build: `cargo bench --bench store`.

use std::io::Write as _;
use std::time::Duration;

use monitor::store::{Store, Write};
use tokio::time::Instant;

const WRITES: usize = 2000;

fn main() -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(measure())
}

async fn measure() -> anyhow::Result<()> {
    let folder = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR"))?;
    let store = Store::open(&format!("sqlite://{}/bench.db", folder.path().display())).await?;
    let writes: Vec<Write> =
        (0..WRITES).map(|n| Write::Setting { key: n.to_string(), value: "x".repeat(200) }).collect();
    let single = timed(&store, &writes, 1).await?;
    let group = timed(&store, &writes, 500).await?;
    store.close().await;
    let ratio = single.as_secs_f64() / group.as_secs_f64();
    writeln!(
        std::io::stdout(),
        "{WRITES} writes: one by one {single:?}, in groups of 500 {group:?}, ratio {ratio:.1}"
    )?;
    Ok(())
}

async fn timed(store: &Store, writes: &[Write], group: usize) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    for part in writes.chunks(group) {
        store.commit(part).await?;
    }
    Ok(begun.elapsed())
}
