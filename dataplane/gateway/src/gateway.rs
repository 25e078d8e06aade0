//! The one service of a core: each call goes to the protocol of its listener.

use stack::{
    CloseReason, Conn, Context, Data, Datagram, ListenerId, ListenerOptions, Refuse, Service,
};

use crate::access::{AccessLog, Cause};
use crate::config::{GatewayConfig, GatewayError, HttpLimits};
use crate::counters::Counters;
use crate::limits::{DATAGRAM_PORTS_KNOWN, LISTENERS_KNOWN};
use crate::proto::{
    echo::Echo,
    http::{Documents, Http},
};
use crate::timer;

/// What a listener speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Sends back what it receives (RFC 862), over TCP and UDP.
    Echo,
    /// HTTP/1.1: GET, HEAD and OPTIONS of documents in memory.
    Http,
}

/// Every protocol of one core.
#[derive(Debug)]
pub struct Gateway {
    /// By the number of the listener.
    listeners: Vec<Option<Protocol>>,
    ports: Vec<(u16, Protocol)>,
    echo: Echo,
    http: Http,
    http_limits: HttpLimits,
    strays: u64,
}

impl Gateway {
    /// Takes the memory of all pools.
    ///
    /// # Errors
    /// A pool of impossible size, or a machine without the memory.
    pub fn new(config: GatewayConfig) -> Result<Self, GatewayError> {
        config.check()?;
        Ok(Self {
            listeners: Vec::with_capacity(LISTENERS_KNOWN),
            ports: Vec::with_capacity(DATAGRAM_PORTS_KNOWN),
            echo: Echo::default(),
            http_limits: config.http,
            http: Http::new(config)?,
            strays: 0,
        })
    }

    /// Speaks `protocol` on the connections of a listener. It allocates nothing as long as the
    /// listener's number is below [`LISTENERS_KNOWN`].
    pub fn add_listener(&mut self, listener: ListenerId, protocol: Protocol) {
        let at = usize::from(listener.0);
        if at >= self.listeners.len() {
            self.listeners.resize(at + 1, None);
        }
        self.listeners[at] = Some(protocol);
    }

    /// Speaks `protocol` on a UDP port. It allocates nothing for the first
    /// [`DATAGRAM_PORTS_KNOWN`] ports.
    pub fn add_datagram_port(&mut self, port: u16, protocol: Protocol) {
        match self.ports.binary_search_by_key(&port, |&(port, _)| port) {
            Ok(at) => self.ports[at].1 = protocol,
            Err(at) => self.ports.insert(at, (port, protocol)),
        }
    }

    /// Speaks nothing on a UDP port any more.
    pub fn remove_datagram_port(&mut self, port: u16) {
        if let Ok(at) = self.ports.binary_search_by_key(&port, |&(port, _)| port) {
            self.ports.remove(at);
        }
    }

    /// Serves other documents from the next request on; answers under way go on with the bytes
    /// that they began with. It takes no memory and gives none back.
    ///
    /// # Errors
    /// Answers of too many older sets are under way ([`Self::has_room_for_documents`]): the
    /// documents come back, and what is served is served still.
    pub fn replace_documents(&mut self, documents: Documents) -> Result<(), Documents> {
        self.http.replace_documents(documents)
    }

    /// Documents that are served no more and of which no answer is under way: to be dropped where
    /// memory may be given back. One set at a time.
    pub fn take_retired(&mut self) -> Option<Documents> {
        self.http.take_retired()
    }

    /// Whether [`Self::replace_documents`] would take another set.
    #[must_use]
    pub fn has_room_for_documents(&self) -> bool {
        self.http.has_room_for_documents()
    }

    /// Sets of documents that are only kept for answers under way.
    #[must_use]
    pub fn older_documents(&self) -> usize {
        self.http.older_documents()
    }

    /// Holds all clients of HTTP to other bounds from now on. Those that the stack keeps are in
    /// the terms of each listener, see [`Self::terms`].
    ///
    /// # Errors
    /// A time-out out of range: nothing has changed.
    pub fn set_http_limits(&mut self, limits: HttpLimits) -> Result<(), GatewayError> {
        limits.check()?;
        self.http.set_limits(limits);
        self.http_limits = limits;
        Ok(())
    }

    /// The terms of a listener that speaks `protocol`: `options`, with what its clients are held to.
    /// They are set anew where [`Self::set_http_limits`] has changed that.
    #[must_use]
    pub fn terms(&self, protocol: Protocol, options: ListenerOptions) -> ListenerOptions {
        match protocol {
            Protocol::Echo => options,
            Protocol::Http => self.http_limits.terms(options),
        }
    }

    /// Tells the time of day, in seconds since 1970 (UTC): what answers are dated with. Until
    /// then they have no date, as RFC 9110 wants it of a server without a clock.
    pub fn set_wall_time(&mut self, unix_seconds: u64) {
        self.http.set_wall_time(unix_seconds);
    }

    /// Tells of requests by `log` from the next one on, or of none; what was there before comes
    /// back. It takes no memory and gives none back.
    pub fn set_access_log(&mut self, log: Option<Box<AccessLog>>) -> Option<Box<AccessLog>> {
        self.http.set_access_log(log)
    }

    /// Resets a connection that is left when the time of a drain is over.
    pub fn cut(&mut self, cx: &mut Context<'_>, conn: Conn) {
        if self.protocol_of(cx, conn) == Some(Protocol::Http) {
            self.http.log_left(cx, conn, Cause::Cut);
        }
        cx.abort(conn);
    }

    /// Tells the access log of all requests that are under way as the gateway ends for `cause`,
    /// and nobody else.
    pub fn tell_left(&mut self, cx: &Context<'_>, cause: Cause) {
        self.http.log_all_left(cx, cause);
    }

    /// Every answer is the last of its connection from now on, and says so. What is under way goes
    /// on.
    pub fn begin_drain(&mut self) {
        self.http.begin_drain();
    }

    /// Ends a connection on which nothing is under way; whether it was one. Of echo nobody knows
    /// but who sees that nothing has moved.
    pub fn end_idle(&mut self, cx: &mut Context<'_>, conn: Conn) -> bool {
        if self.protocol_of(cx, conn) == Some(Protocol::Http) {
            return self.http.end_idle(cx, conn);
        }
        cx.close(conn);
        true
    }

    /// What has been counted until now.
    #[must_use]
    pub fn counters(&self) -> Counters {
        Counters { echo: self.echo.counters(), http: self.http.counters(), strays: self.strays }
    }

    /// The service of a protocol.
    fn service(&mut self, protocol: Protocol) -> &mut dyn Service {
        match protocol {
            Protocol::Echo => &mut self.echo,
            Protocol::Http => &mut self.http,
        }
    }

    /// The service of a connection; `None` for one of no listener that was named.
    fn service_of(&mut self, cx: &Context<'_>, conn: Conn) -> Option<&mut dyn Service> {
        let protocol = self.protocol_of(cx, conn)?;
        Some(self.service(protocol))
    }

    fn protocol_of(&self, cx: &Context<'_>, conn: Conn) -> Option<Protocol> {
        let listener = cx.listener(conn)?;
        self.listeners.get(usize::from(listener.0)).copied().flatten()
    }
}

impl Service for Gateway {
    fn on_open(&mut self, cx: &mut Context<'_>, conn: Conn) -> Result<(), Refuse> {
        if let Some(service) = self.service_of(cx, conn) {
            return service.on_open(cx, conn);
        }
        self.strays += 1;
        Err(Refuse)
    }

    fn on_data(&mut self, cx: &mut Context<'_>, conn: Conn, data: &mut Data) -> usize {
        self.service_of(cx, conn).map_or(0, |service| service.on_data(cx, conn, data))
    }

    fn on_end(&mut self, cx: &mut Context<'_>, conn: Conn) {
        if let Some(service) = self.service_of(cx, conn) {
            service.on_end(cx, conn);
        }
    }

    fn on_writable(&mut self, cx: &mut Context<'_>, conn: Conn) {
        if let Some(service) = self.service_of(cx, conn) {
            service.on_writable(cx, conn);
        }
    }

    fn on_idle(&mut self, cx: &mut Context<'_>, conn: Conn) {
        if let Some(service) = self.service_of(cx, conn) {
            service.on_idle(cx, conn);
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, conn: Conn, why: CloseReason) {
        if let Some(service) = self.service_of(cx, conn) {
            service.on_close(cx, conn, why);
        }
    }

    fn on_timer(&mut self, cx: &mut Context<'_>, key: u64) {
        match key {
            timer::HTTP_SWEEP => self.http.on_timer(cx, key),
            _ => self.strays += 1,
        }
    }

    fn on_datagram(&mut self, cx: &mut Context<'_>, from: Datagram, data: &mut Data) {
        match self.ports.binary_search_by_key(&from.local_port, |&(port, _)| port) {
            Ok(at) => {
                let (_, protocol) = self.ports[at];
                self.service(protocol).on_datagram(cx, from, data);
            }
            Err(_) => self.strays += 1,
        }
    }
}
