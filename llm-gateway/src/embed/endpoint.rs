//! Vectors from a server that speaks OpenAI's `/v1/embeddings`.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE};
use hyper::{Method, Request, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use serde::Deserialize;

use super::{EmbedError, EndpointSection};
use crate::secret::Secret;

const MOST_BYTES: usize = 1 << 20;

/// A server, its model and its key.
pub struct Endpoint {
    name: String,
    address: Uri,
    model: String,
    key: Option<Secret>,
    timeout: Duration,
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

#[derive(Deserialize)]
struct Reply {
    data: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    embedding: Vec<f32>,
}

impl Endpoint {
    /// Reads its key; asks nothing yet.
    ///
    /// # Errors
    /// The address is none, or the key cannot be read.
    pub fn new(section: &EndpointSection) -> Result<Self, EmbedError> {
        let failed = |reason: String| EmbedError::Endpoint { url: section.url.clone(), reason };
        let url = format!("{}/embeddings", section.url.trim_end_matches('/'));
        let address: Uri = url.parse().map_err(|_| failed("this is no address".to_owned()))?;
        if address.scheme().is_none() || address.host().is_none() {
            return Err(failed("this is no address of the form http://HOST:PORT/v1".to_owned()));
        }
        let key =
            section.key.as_ref().map(|place| place.read().map_err(|error| failed(error.to_string()))).transpose()?;
        let tls = HttpsConnectorBuilder::new().with_native_roots().map_err(|error| failed(error.to_string()))?;
        let client = Client::builder(TokioExecutor::new()).build(tls.https_or_http().enable_http1().build());
        let (name, model) = (format!("endpoint-{}", section.model), section.model.clone());
        Ok(Self { name, address, model, key, timeout: section.timeout.0, client })
    }

    /// `endpoint-` and the model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The vector of a text.
    ///
    /// # Errors
    /// The server is not there, is slow, or answers with something else.
    pub async fn embed(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let failed = |reason: &str| EmbedError::Endpoint { url: self.address.to_string(), reason: reason.to_owned() };
        match tokio::time::timeout(self.timeout, self.ask(text)).await {
            Ok(Ok(mut vector)) if !vector.is_empty() && vector.iter().all(|x| x.is_finite()) => {
                super::normalise(&mut vector);
                Ok(vector)
            }
            Ok(Ok(_)) => Err(failed("the vector is empty or no numbers")),
            Ok(Err(reason)) => Err(failed(&reason)),
            Err(_) => Err(failed("it did not answer in time")),
        }
    }

    async fn ask(&self, text: &str) -> Result<Vec<f32>, String> {
        let body = serde_json::json!({ "model": self.model, "input": [text], "encoding_format": "float" });
        let mut request =
            Request::builder().method(Method::POST).uri(&self.address).header(CONTENT_TYPE, "application/json");
        if let Some(key) = &self.key {
            request = request.header(AUTHORIZATION, format!("Bearer {}", key.expose()));
        }
        let request = request.body(Full::from(body.to_string())).map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|_| "it cannot be reached".to_owned())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MOST_BYTES)
            .collect()
            .await
            .map_err(|_| "its answer was cut or too large".to_owned())?;
        if !status.is_success() {
            return Err(format!("it answered {status}"));
        }
        let reply: Reply =
            serde_json::from_slice(&body.to_bytes()).map_err(|_| "its answer is not understood".to_owned())?;
        reply.data.into_iter().next().map(|row| row.embedding).ok_or_else(|| "its answer is empty".to_owned())
    }
}
