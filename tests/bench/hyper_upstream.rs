//! The upstreams for HTTP/1.1 over TLS and for HTTP/2 in clear, with hyper on one thread. They
//! serve only the small answer; all other rows use the raw upstream.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::certificates::Certificates;
use crate::error::MeasureError;
use crate::upstream::OK_BODY;

/// Serves HTTP/2 (or HTTP/1.1) in clear, without end.
pub(crate) fn run_clear(listen: SocketAddr) -> Result<(), MeasureError> {
    block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let stream = accept(&listener).await?;
            tokio::spawn(serve(stream));
        }
    })
}

/// Serves HTTP/1.1 over TLS with the certificate in `folder`, without end.
pub(crate) fn run_tls(listen: SocketAddr, folder: &Path) -> Result<(), MeasureError> {
    let acceptor = acceptor(&Certificates::in_folder(folder))?;
    block_on(async {
        let listener = TcpListener::bind(listen).await?;
        loop {
            let stream = accept(&listener).await?;
            let handshake = acceptor.accept(stream);
            tokio::spawn(async move {
                if let Ok(stream) = handshake.await {
                    serve(stream).await;
                }
            });
        }
    })
}

fn block_on(serving: impl Future<Output = Result<(), MeasureError>>) -> Result<(), MeasureError> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serving)
}

async fn accept(listener: &TcpListener) -> Result<TcpStream, MeasureError> {
    let (stream, _) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static) {
    let server = auto::Builder::new(TokioExecutor::new());
    // The load generator reports the error of a broken connection.
    let _ = server.serve_connection(TokioIo::new(stream), service_fn(answer)).await;
}

async fn answer(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::new(Full::new(Bytes::from_static(OK_BODY.as_bytes())));
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    Ok(response)
}

fn acceptor(files: &Certificates) -> Result<TlsAcceptor, MeasureError> {
    let chain = CertificateDer::pem_file_iter(&files.leaf)?.collect::<Result<Vec<_>, _>>()?;
    let key = PrivateKeyDer::from_pem_file(&files.key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
