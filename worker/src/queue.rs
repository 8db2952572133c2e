//! The one file that names apalis: tasks that were claimed flow through an apalis worker, with its
//! layers, its monitor and its graceful stop.
//!
//! The back-end holds nothing: a channel feeds it, rows in the store are the truth. It cannot fail, so
//! ticket trouble never ends a worker, and it keeps no retries: those are rows too.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use apalis::prelude::{Monitor, WorkerBuilder, WorkerBuilderExt};
use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    error::BoxDynError,
    task::{
        Task,
        builder::TaskBuilder,
        task_id::{RandomId, TaskId},
    },
    worker::{context::WorkerContext, ext::parallelize::ParallelizeExt},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::layer::util::Identity;

/// What flows through the queue.
pub(crate) trait Job: Send + 'static {
    /// Names it in spans.
    fn id(&self) -> String;
}

/// Jobs on their way to the handler; at most as many as there are slots are ever inside.
pub(crate) type Feed<J> = mpsc::UnboundedSender<J>;

/// Makes a channel for [`run`].
pub(crate) fn channel<J>() -> (Feed<J>, mpsc::UnboundedReceiver<J>) {
    mpsc::unbounded_channel()
}

struct Channel<J>(mpsc::UnboundedReceiver<J>);

impl<J> fmt::Debug for Channel<J> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Channel")
    }
}

impl<J: Job> Backend for Channel<J> {
    type Task = Task<J>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, _: &WorkerContext) -> Poll<Option<Result<Self::Task, Infallible>>> {
        self.0.poll_recv(cx).map(|job| {
            // Spans are named by it.
            job.map(|job| {
                let id = TaskId::String(job.id());
                Ok(TaskBuilder::new(job).task_id(id).build())
            })
        })
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.0.close();
        Poll::Ready(Ok(()))
    }
}

impl<J: Job> BackendConfig for Channel<J> {
    type Args = J;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}

/// Hands every job to `handle`, each on a task of its own, until the channel is closed by its senders
/// or `stop` is cancelled, and all handlers have ended.
pub(crate) async fn run<J, H, F>(name: &str, jobs: mpsc::UnboundedReceiver<J>, handle: H, stop: CancellationToken)
where
    J: Job + Sync,
    H: Fn(J) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let name = name.to_owned();
    // The monitor asks for a worker again after a failure, which this back-end cannot have.
    let jobs = Arc::new(Mutex::new(Some(jobs)));
    let monitor = Monitor::new().register(move |_| {
        let jobs = jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        let jobs = jobs.unwrap_or_else(|| channel().1);
        let handle = handle.clone();
        WorkerBuilder::new(name.as_str())
            .backend(Channel(jobs))
            .enable_tracing()
            .catch_panic()
            .parallelize(tokio::spawn)
            .build(move |job: J| {
                let work = handle(job);
                async move {
                    work.await;
                    Ok::<(), BoxDynError>(())
                }
            })
    });
    let signal = async move {
        stop.cancelled().await;
        Ok(())
    };
    if let Err(error) = monitor.run_with_signal(signal).await {
        tracing::error!(%error, "the monitor ended with an error");
    }
}
