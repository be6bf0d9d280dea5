//! The SSH server in front of the demo's machine: one user, one password, `exec` only.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::machine::Machine;

/// How long a restart takes; a real one is seldom faster.
const RESTART: Duration = Duration::from_millis(400);
/// Bytes of a request that are read.
const LONGEST_REQUEST: usize = 16 * 1024;

/// Where and how one logs in.
#[derive(Debug)]
pub struct Door {
    /// The port on the loopback.
    pub port: u16,
    /// The user.
    pub user: &'static str,
    /// The password.
    pub password: String,
}

/// Starts the server with a new host key and a new password.
pub async fn start(machine: Machine, tasks: &mut JoinSet<()>) -> io::Result<Door> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let door = Door { port: listener.local_addr()?.port(), user: "demo", password: super::random(12)? };
    let config = Config {
        keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&super::bytes()?))],
        methods: MethodSet::from([MethodKind::Password].as_slice()),
        auth_rejection_time: Duration::from_secs(1),
        auth_rejection_time_initial: Some(Duration::ZERO),
        nodelay: true,
        ..Config::default()
    };
    let login = Login { machine, user: door.user, password: door.password.clone(), let_in: false };
    tasks.spawn(serve(listener, Arc::new(config), login));
    Ok(door)
}

async fn serve(listener: TcpListener, config: Arc<Config>, login: Login) {
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    sessions.spawn(session(stream, config.clone(), login.clone()));
                }
            }
            Some(_) = sessions.join_next() => {}
        }
    }
}

async fn session(stream: TcpStream, config: Arc<Config>, login: Login) {
    if let Ok(running) = russh::server::run_stream(config, stream, login).await {
        // However it ends, the agent is the one who says so.
        let _ = running.await;
    }
}

#[derive(Clone)]
struct Login {
    machine: Machine,
    user: &'static str,
    password: String,
    let_in: bool,
}

impl Handler for Login {
    type Error = russh::Error;

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, Self::Error> {
        self.let_in = user == self.user && password == self.password;
        Ok(if self.let_in { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        if !self.let_in || data.len() > LONGEST_REQUEST {
            return session.channel_failure(channel);
        }
        session.channel_success(channel)?;
        tokio::time::sleep(RESTART).await;
        let done = self.machine.execute(&String::from_utf8_lossy(data));
        if !done.stderr.is_empty() {
            session.extended_data(channel, 1, done.stderr.into_bytes())?;
        }
        session.exit_status_request(channel, done.code)?;
        session.eof(channel)?;
        session.close(channel)
    }
}
