//! Who is connected, how many at once, and for how long.

use crate::config;
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Time after which it is tried again to take a connection, where the system has none to give: too many open files, say.
const BREATH: Duration = Duration::from_secs(1);
/// What is read of somebody whose connection was closed while they were sending, and for how long: otherwise the system would tell them
/// that the connection was reset, and they would not hear the answer.
const UNHEARD_BYTES: u64 = 16 << 20;
const UNHEARD_TIME: Duration = Duration::from_secs(2);

/// Serves until it is told to stop, then lets the requests under way end, for so long as they may take.
///
/// It speaks HTTP/1 alone: over TLS a reverse proxy speaks whatever else there is.
pub async fn serve(listener: TcpListener, router: Router, config: &config::Http, stop: &CancellationToken) {
    open_files();
    let mut protocol = http1::Builder::new();
    protocol.timer(TokioTimer::new()).header_read_timeout(config.header);
    let (places, connections) = (Arc::new(Semaphore::new(config.connections)), TaskTracker::new());
    while let Some((stream, place)) = stop.run_until_cancelled(next(&listener, &places)).await {
        let (protocol, router, stop) = (protocol.clone(), router.clone(), stop.clone());
        connections.spawn(async move {
            talk(stream, &protocol, router, &stop).await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    if timeout(config.grace, connections.wait()).await.is_err() {
        tracing::warn!("some requests did not end in time");
    }
}

/// Lets this process open as many files as the system lets it at all: a connection is one, too, and stores must not lack theirs.
fn open_files() {
    let allowed = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed }) {
        tracing::warn!(%error, files = allowed.current, "no more files can be opened than these; `connections` should be fewer");
    }
}

/// The next connection, once there is a place for it: until then it waits in the system's queue.
async fn next(listener: &TcpListener, places: &Arc<Semaphore>) -> (TcpStream, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed, so there is always a permit.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => return (stream, place),
            // Whoever it was has gone again.
            Err(error) if is_theirs(error.kind()) => {}
            Err(error) => {
                tracing::error!(%error, "no connection can be taken");
                sleep(BREATH).await;
            }
        }
    }
}

fn is_theirs(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::ConnectionRefused | ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset)
}

/// Answers the requests of a connection, one after the other, until either side ends it.
async fn talk(mut stream: TcpStream, protocol: &http1::Builder, router: Router, stop: &CancellationToken) {
    // An event of a feed must not wait until the one before it was acknowledged. Where that cannot be had, it only takes longer.
    let _ = stream.set_nodelay(true);
    let talked = {
        let service = TowerToHyperService::new(router);
        let mut talking = pin!(protocol.serve_connection(TokioIo::new(&mut stream), service));
        tokio::select! {
            talked = talking.as_mut() => talked,
            () = stop.cancelled() => {
                talking.as_mut().graceful_shutdown();
                talking.await
            }
        }
    };
    if let Err(error) = talked {
        tracing::debug!(%error, "a connection ended early");
    }
    // When the host is stopped, nobody is waited for who only keeps a connection.
    let _ = stop.run_until_cancelled(hear_out(stream)).await;
}

/// Reads what is still coming, and forgets it.
async fn hear_out(stream: TcpStream) {
    let (mut unheard, mut nowhere) = (stream.take(UNHEARD_BYTES), tokio::io::sink());
    // Whatever ends it: there is nothing more to say.
    drop(timeout(UNHEARD_TIME, tokio::io::copy(&mut unheard, &mut nowhere)).await);
}
