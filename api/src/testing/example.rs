//! What a request to an operation looks like, and which ones it refuses.

/// One request. `{run}`, `{done}` and `{stopped}` in its path stand for runs of the bed, `{approval}` and `{asked}` for what
/// it asks anybody and somebody.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub method: &'static str,
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<String>,
}

/// A request that is refused.
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    pub why: String,
    pub request: Request,
    pub status: u16,
    pub code: &'static str,
}

/// An operation's example.
#[derive(Debug, Clone)]
pub(crate) struct Example {
    pub operation: &'static str,
    pub request: Request,
    /// The status of the same request told again, where it is not a success.
    pub again: Option<u16>,
    /// The status and code of an operation that the bed cannot serve.
    pub fails: Option<(u16, &'static str)>,
    pub refusals: Vec<Refusal>,
}

impl Example {
    fn new(operation: &'static str, method: &'static str, path: &str, body: Option<&str>) -> Self {
        let body = body.filter(|body| !body.is_empty()).map(str::to_owned);
        let request = Request { method, path: path.to_owned(), headers: Vec::new(), body };
        Self { operation, request, again: None, fails: None, refusals: Vec::new() }
    }

    pub fn get(operation: &'static str, path: &str) -> Self {
        Self::new(operation, "GET", path, None)
    }

    pub fn post(operation: &'static str, path: &str, body: &str) -> Self {
        Self::new(operation, "POST", path, Some(body)).typed("application/json")
    }

    pub fn put(operation: &'static str, path: &str, body: &str) -> Self {
        Self::new(operation, "PUT", path, Some(body)).typed("application/json")
    }

    pub fn delete(operation: &'static str, path: &str) -> Self {
        Self::new(operation, "DELETE", path, None)
    }

    /// The body is of this type.
    pub fn typed(mut self, kind: &str) -> Self {
        self.request.headers.retain(|(name, _)| name != "content-type");
        if self.request.body.is_some() {
            self.request.headers.push(("content-type".to_owned(), kind.to_owned()));
        }
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.request.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same request told again has this status.
    pub fn again(mut self, status: u16) -> Self {
        self.again = Some(status);
        self
    }

    /// The bed has not what this operation needs, and it says so.
    pub fn fails(mut self, status: u16, code: &'static str) -> Self {
        self.fails = Some((status, code));
        self
    }

    fn refuses(mut self, why: &str, request: Request, (status, code): (u16, &'static str)) -> Self {
        self.refusals.push(Refusal { why: why.to_owned(), request, status, code });
        self
    }

    /// Another address without a body is refused.
    pub fn wrong(self, method: &'static str, path: &str, status: u16, code: &'static str) -> Self {
        let body = self.request.body.clone().filter(|_| method != "GET");
        let request = Request { method, path: path.to_owned(), body, ..self.request.clone() };
        self.refuses("another address", request, (status, code))
    }

    /// The same request with another body is refused.
    pub fn malformed(self, body: &str, status: u16, code: &'static str) -> Self {
        let request = Request { body: Some(body.to_owned()), ..self.request.clone() };
        self.refuses(&format!("malformed: {body}"), request, (status, code))
    }

    /// After the good request, one with another body is refused.
    pub fn conflict(self, body: &str, status: u16, code: &'static str) -> Self {
        let request = Request { body: Some(body.to_owned()), ..self.request.clone() };
        self.refuses(&format!("conflict: {body}"), request, (status, code))
    }

    /// After the good request, the same with more headers is refused.
    pub fn conflicts(self, why: &str, headers: &[(&str, &str)], status: u16, code: &'static str) -> Self {
        let mut request = self.request.clone();
        request.headers.extend(headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self.refuses(why, request, (status, code))
    }

    /// The same at another address is refused.
    pub fn conflict_at(self, path: &str, body: &str, status: u16, code: &'static str) -> Self {
        let body = Some(body.to_owned()).filter(|body| !body.is_empty());
        let request = Request { path: path.to_owned(), body, ..self.request.clone() };
        self.refuses("conflict elsewhere", request, (status, code))
    }
}
