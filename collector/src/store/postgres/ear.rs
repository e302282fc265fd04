//! Hears of work that other collectors put on the queue.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio_postgres::AsyncMessage;

use super::connect::Server;
use super::fault::{Fault, words};

/// Tells all that listen.
pub const RING: &str = "NOTIFY farmwatch_work";
const LISTEN: &str = "LISTEN farmwatch_work";
/// Before the server is called again after a connection ended.
const BREATHE: Duration = Duration::from_secs(2);

/// Rings `bell` whenever some collector has put work on the queue, for ever. While the server is away nothing is heard,
/// and whoever waits for the bell looks by himself now and then.
pub async fn listen(server: Arc<Server>, bell: Arc<Notify>) {
    loop {
        if let Err(fault) = listen_once(&server, &bell).await {
            tracing::debug!(error = %fault.error, "does not hear of other collectors' work; calling again");
        }
        tokio::time::sleep(BREATHE).await;
    }
}

async fn listen_once(server: &Server, bell: &Notify) -> Result<(), Fault> {
    let (client, mut connection) = server.connect().await?;
    let asked = client.batch_execute(LISTEN);
    tokio::pin!(asked);
    let mut listening = false;
    loop {
        tokio::select! {
            done = &mut asked, if !listening => {
                done?;
                listening = true;
                // What came before this was not heard.
                bell.notify_one();
            }
            message = poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notification(_))) => bell.notify_one(),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(Fault::unavailable(words(&error))),
                None => return Ok(()),
            }
        }
    }
}
