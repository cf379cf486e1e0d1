//! `laterna serve`

use super::Failure;
use crate::clock::Kind;
use crate::config::Settings;
use crate::plugin::rfc3339;
use crate::{failpoint, host, http};
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Serve a data directory: take events in, fold them, answer queries
#[derive(clap::Args)]
pub struct Serve {
    /// The data directory; made where it is not there
    #[arg(long, env = "LATERNA_DATA", default_value = "data")]
    data: PathBuf,
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    pub fn run(self) -> Result<(), Failure> {
        serve(&self.data, self.settings, |_| Ok(()))
    }
}

/// Serves until SIGTERM or SIGINT. `started` is called once the first requests can come, on a thread of its own.
pub fn serve(
    data: &Path,
    settings: Settings,
    started: impl FnOnce(SocketAddr) -> Result<(), Failure> + Send + 'static,
) -> Result<(), Failure> {
    failpoint::arm()?;
    let config = settings.complete(data)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let served = runtime.block_on(async {
        let address = config.listen;
        let host = Arc::new(host::Host::open(data, config).await?);
        if host.clock.kind() == Kind::Manual {
            tracing::warn!(now = rfc3339(host.clock.now_us()), "the clock stands still until it is advanced");
        }
        let listener = TcpListener::bind(address).await.map_err(|error| {
            format!("{address} cannot be listened on: {error}. Choose another address with --listen; port 0 takes any free one.")
        })?;
        let address = listener.local_addr()?;
        host.announce(address)?;
        stop_at_signals(&host)?;
        writeln!(std::io::stdout(), "listening on http://{address}")?;
        std::io::stdout().flush()?;
        let serving = tokio::spawn(http::serve(Arc::clone(&host), listener));
        let stop = host.stop.clone();
        let started = tokio::task::spawn_blocking(move || {
            started(address).map_err(|failure| {
                stop.cancel();
                failure.to_string()
            })
        });
        serving.await?;
        let closing = tokio::task::spawn_blocking(move || host.close());
        closing.await?;
        Ok(started.await??)
    });
    // Whatever is still under way, such as compiling a component, changes nothing any more.
    runtime.shutdown_background();
    served
}

fn stop_at_signals(host: &Arc<host::Host>) -> Result<(), Failure> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let stop = host.stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = stop.cancelled() => {}
        }
        tracing::info!("stopping");
        stop.cancel();
    });
    Ok(())
}
