//! A real S3 server of its own: `s3s-fs` over a temporary folder, with what it lacks added and faults on demand.

mod disk;

use std::{
    collections::VecDeque,
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use hyper::{
    Request, Response, StatusCode,
    body::{Body as _, Frame, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use s3s::{
    Body,
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use tempfile::TempDir;
use tokio::sync::Notify;

use disk::Disk;

/// What the server does with `If-None-Match`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conditions {
    /// As S3 does today.
    Kept,
    /// As servers did for years.
    Ignored,
}

/// One answer that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum S3Fault {
    /// 503 SlowDown; the request is not carried out.
    Busy,
    /// The body of the answer breaks off after so many bytes, and with it the connection.
    Cut(usize),
    /// The request is carried out, then the connection breaks before any answer.
    LoseAnswer,
    /// The answer takes its time.
    Slow(Duration),
}

/// Requests that go wrong until somebody says otherwise.
#[derive(Debug, Clone, Copy)]
pub struct Storm {
    /// One in so many requests.
    pub every: usize,
    /// What happens, by method; `*` stands for all of them.
    pub faults: &'static [(&'static str, S3Fault)],
}

/// A server. It ends, and its folder goes, when it is dropped.
#[derive(Debug)]
pub struct S3Server {
    address: SocketAddr,
    state: Arc<State>,
    stop: Arc<Notify>,
    thread: Option<std::thread::JoinHandle<()>>,
    _folder: TempDir,
}

#[derive(Debug)]
struct State {
    /// What goes wrong next, and for which method.
    faults: Mutex<VecDeque<(&'static str, S3Fault)>>,
    storm: Mutex<Option<Storm>>,
    struck: AtomicUsize,
    disk: Arc<Disk>,
    requests: AtomicUsize,
}

impl S3Server {
    /// The one bucket.
    pub const BUCKET: &'static str = "tidemill";
    /// The keys it takes.
    pub const KEYS: (&'static str, &'static str) = ("test-access", "test-secret-0123456789");

    /// Starts one.
    ///
    /// # Panics
    /// If the machine does not let it.
    pub fn start(conditions: Conditions) -> Self {
        let folder = TempDir::with_prefix("tidemill-s3-").expect("a folder");
        std::fs::create_dir(folder.path().join(Self::BUCKET)).expect("a bucket");
        let disk = Arc::new(Disk::new(folder.path(), conditions));
        let state = Arc::new(State {
            faults: Mutex::default(),
            storm: Mutex::default(),
            struck: AtomicUsize::new(0),
            disk: Arc::clone(&disk),
            requests: AtomicUsize::new(0),
        });
        let mut builder = S3ServiceBuilder::new(disk::Shared(disk));
        builder.set_auth(SimpleAuth::from_single(Self::KEYS.0, Self::KEYS.1));
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a listener");
        let address = listener.local_addr().expect("an address");
        let stop = Arc::new(Notify::new());
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
        let (state_of_server, stopped) = (Arc::clone(&state), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    () = stopped.notified() => {}
                    ended = serve(listener, service, state_of_server) => ended.expect("connections"),
                }
            });
            runtime.shutdown_timeout(Duration::from_secs(1));
        });
        Self { address, state, stop, thread: Some(thread), _folder: folder }
    }

    /// Its address.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next requests with this method (`PUT`, `GET`, …) go wrong like this, one after the other.
    pub fn fail_next(&self, method: &'static str, faults: impl IntoIterator<Item = S3Fault>) {
        let mut planned = self.state.faults.lock().expect("no panic");
        planned.extend(faults.into_iter().map(|fault| (method, fault)));
    }

    /// Begins a storm, or ends it.
    pub fn storm(&self, storm: Option<Storm>) {
        *self.state.storm.lock().expect("no panic") = storm;
    }

    /// Requests that storms hit so far.
    pub fn struck(&self) -> usize {
        self.state.struck.load(Ordering::Relaxed)
    }

    /// Faults that have not happened yet.
    pub fn faults_left(&self) -> usize {
        self.state.faults.lock().expect("no panic").len()
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }

    /// Uploads in parts that were neither finished nor given up.
    pub fn open_uploads(&self) -> usize {
        self.state.disk.open_uploads()
    }

    /// The most parts that were on their way at the same time.
    pub fn most_parts_at_once(&self) -> usize {
        self.state.disk.most_parts_at_once()
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.stop.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl State {
    /// What happens to the next request.
    fn fault(&self, method: &str) -> Option<S3Fault> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        {
            let mut planned = self.faults.lock().expect("no panic");
            if planned.front().is_some_and(|(wanted, _)| *wanted == method) {
                return planned.pop_front().map(|(_, fault)| fault);
            }
        }
        let storm = (*self.storm.lock().expect("no panic"))?;
        let hit = |(wanted, _): &&(&str, S3Fault)| *wanted == "*" || *wanted == method;
        let fault = storm.faults.iter().find(hit).filter(|_| number.is_multiple_of(storm.every))?.1;
        self.struck.fetch_add(1, Ordering::Relaxed);
        Some(fault)
    }
}

async fn serve(listener: TcpListener, service: S3Service, state: Arc<State>) -> io::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (stream, _) = listener.accept().await?;
        let (service, state) = (service.clone(), Arc::clone(&state));
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(&service, &state, request));
            // A connection that breaks is what some tests are about.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn answer(service: &S3Service, state: &State, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let fault = state.fault(request.method().as_str());
    if fault == Some(S3Fault::Busy) {
        // Read to its end, so that the client sees the answer and no broken pipe.
        let mut body = request.into_body();
        while poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await.is_some_and(|frame| frame.is_ok()) {}
        return Ok(busy());
    }
    let answer = service.call(request.map(Body::from)).await.map_err(|error| io::Error::other(format!("{error:?}")))?;
    match fault {
        None | Some(S3Fault::Busy) => Ok(answer),
        Some(S3Fault::Cut(after)) => {
            Ok(answer.map(|inner| Body::http_body_unsync(Cut { inner, left: after, pause: None })))
        }
        Some(S3Fault::LoseAnswer) => Err(io::Error::other("planned")),
        Some(S3Fault::Slow(pause)) => {
            tokio::time::sleep(pause).await;
            Ok(answer)
        }
    }
}

fn busy() -> Response<Body> {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>SlowDown</Code>\
                <Message>Please reduce your request rate.</Message></Error>";
    let mut answer = Response::new(Body::from(text.to_owned()));
    *answer.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    answer
}

/// How long a body waits before it breaks off.
const UNTIL_SENT: Duration = Duration::from_millis(5);

/// A body that breaks off.
struct Cut {
    inner: Body,
    left: usize,
    /// Before the break: the server throws away what it has not sent by then, the head of the answer too.
    pause: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl hyper::body::Body for Cut {
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.left == 0 {
            let pause = self.pause.get_or_insert_with(|| Box::pin(tokio::time::sleep(UNTIL_SENT)));
            std::task::ready!(pause.as_mut().poll(context));
            return Poll::Ready(Some(Err("planned".into())));
        }
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        let Ok(mut data) = frame.into_data() else { return Poll::Ready(None) };
        data.truncate(self.left);
        self.left -= data.len();
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}
