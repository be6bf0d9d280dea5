//! Floor 6: the HTTP API, on the control socket and, where that is wanted, on a port. It touches the engine only through its
//! `Handle`.

use std::future::Future;
use std::sync::Arc;

use axum::{Extension, Router};
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::engine::delivery::ChannelHealth;
use crate::engine::handle::{Handle, Reloaded};
use crate::store::{Recorder, Store};

pub mod api;
mod body;
mod door;
pub mod port;
mod problem;

pub use body::{Body, Person, Whole};
pub use problem::Problem;

/// Reads the configuration again and swaps it in; on mistakes the old one stays and the report says why.
pub type Reload = Arc<dyn Fn() -> BoxFuture<'static, Result<Reloaded, String>> + Send + Sync>;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// Somebody who may do everything: by the control socket, or with the token.
    Owner,
    /// Anybody else.
    Stranger,
}

/// What the API stands on.
#[derive(Clone)]
pub struct State {
    /// The door to the engine.
    pub engine: Handle,
    /// What is recorded.
    pub store: Store,
    /// How every channel fares.
    pub channels: Vec<watch::Receiver<ChannelHealth>>,
    /// How the store fares.
    pub recorder: Recorder,
    /// What else is in trouble, a sentence each: the log, the audit, the list of `DISCOVERY_URL`.
    pub troubles: Arc<dyn Fn() -> Vec<String> + Send + Sync>,
    /// Reads the configuration again.
    pub reload: Reload,
}

/// Builds the API for the control socket: whoever may open that may do everything.
pub fn router(state: State) -> Router {
    let router = Router::new().nest("/api", api::routes()).fallback(problem::no_such_path);
    router.layer(Extension(Asker::Owner)).with_state(state)
}

/// Serves the API on the control socket until `stop` is done.
pub async fn serve<L>(listener: L, state: State, stop: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()>
where
    L: axum::serve::Listener,
    L::Addr: std::fmt::Debug,
{
    axum::serve(listener, router(state)).with_graceful_shutdown(stop).await
}
