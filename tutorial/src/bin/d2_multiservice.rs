//! D2: two services in one node, and what they have in common.
//!
//! New here: the order of services, and one service that finds another.
//! Run: `cargo run --bin d2_multiservice`

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use anyhow::ensure;
use p2p_server::Server;
use rpc::Module;
use serde_json::Value;
use service_node::{BoxError, Service, ServiceContext, UnknownService};
use tutorial::{say, within};

// ANCHOR: foo
/// Tells a number.
struct FooService {
    number: Arc<AtomicI64>,
}

impl FooService {
    async fn get(self: Arc<Self>) -> rpc::Result<i64> {
        Ok(self.number.load(Ordering::Relaxed))
    }
}

impl Service for FooService {
    fn apis(self: &Arc<Self>) -> Vec<Module> {
        vec![Module::new("foo").method_of(self, "get", Self::get)]
    }

    async fn start(self: &Arc<Self>, _server: Server) -> Result<(), BoxError> {
        say!("starting", service = "foo");
        Ok(())
    }

    async fn stop(self: &Arc<Self>) -> Result<(), BoxError> {
        say!("stopping", service = "foo");
        Ok(())
    }
}
// ANCHOR_END: foo

// ANCHOR: bar
/// Sets the number of the foo service, which it has found in the node.
struct BarService {
    foo: Arc<FooService>,
}

impl BarService {
    /// Fails where there is no foo service, or not yet.
    fn new(context: &ServiceContext) -> Result<Self, UnknownService> {
        Ok(Self { foo: context.service()? })
    }

    async fn set(self: Arc<Self>, number: i64) -> rpc::Result<()> {
        self.foo.number.store(number, Ordering::Relaxed);
        Ok(())
    }
}

impl Service for BarService {
    fn apis(self: &Arc<Self>) -> Vec<Module> {
        vec![Module::new("bar").method_of(self, "set", Self::set)]
    }

    async fn start(self: &Arc<Self>, _server: Server) -> Result<(), BoxError> {
        say!("starting", service = "bar");
        Ok(())
    }

    async fn stop(self: &Arc<Self>) -> Result<(), BoxError> {
        say!("stopping", service = "bar");
        Ok(())
    }
}
// ANCHOR_END: bar

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tutorial::init();

    // ANCHOR: start
    // The program keeps a hand on the number, too.
    let number = Arc::new(AtomicI64::new(0));
    let shared = Arc::clone(&number);
    let new_foo = move |_: &ServiceContext| FooService { number: Arc::clone(&shared) };
    let node = tutorial::node("one").service(new_foo.clone()).service(BarService::new).build()?;
    node.start().await?;
    // ANCHOR_END: start

    // ANCHOR: calls
    let client = node.attach()?;
    let set: Value = within("an answer", client.call("bar_set", (42,))).await??;
    let get: i64 = within("an answer", client.call("foo_get", ())).await??;
    let shared_value = number.load(Ordering::Relaxed);
    say!("get", result = get, sharedvalue = shared_value);
    ensure!(set.is_null() && get == 42 && shared_value == 42, "two services, and two numbers");
    node.stop().await?;
    // ANCHOR_END: calls

    // ANCHOR: twice
    let twice = tutorial::node("two").service(new_foo.clone()).service(new_foo.clone()).build()?;
    let Err(error) = twice.start().await else { anyhow::bail!("one service, twice") };
    say!("same service twice", error = error.to_string());
    ensure!(error.to_string() == "duplicate service: FooService", "refused for another reason");
    // ANCHOR_END: twice

    // ANCHOR: reverse
    let reverse = tutorial::node("three").service(BarService::new).service(new_foo).build()?;
    let Err(error) = reverse.start().await else { anyhow::bail!("bar found what was not there") };
    say!("reverse order", error = error.to_string());
    ensure!(error.to_string().ends_with("unknown service: FooService"), "refused otherwise");
    // ANCHOR_END: reverse
    Ok(())
}
