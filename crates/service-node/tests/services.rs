//! Services: their order, what they are told, and what happens when one fails.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod common;

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, Weak},
};

use p2p_server::{Capability, Protocol, Server, protocol_fn};
use rpc::Module;
use service_node::{BoxError, Service, ServiceContext, StartFailure, Step, StopError};

use self::common::{Diary, Fails, Noting, node, within};

#[tokio::test]
async fn services_are_built_and_started_in_order_and_stopped_in_reverse() {
    let diary = Diary::default();
    let [one, two, three] = [diary.clone(), diary.clone(), diary.clone()];
    let node = node("foo")
        .service(move |_| Noting::<2>::new(&two, Fails::Never))
        .service(move |_| Noting::<1>::new(&one, Fails::Never))
        .service(move |_| Noting::<3>::new(&three, Fails::Never))
        .build()
        .unwrap();

    node.start().await.unwrap();
    node.stop().await.unwrap();

    let expected = [
        "built 2",
        "built 1",
        "built 3",
        "started 2",
        "started 1",
        "started 3",
        "stopped 3",
        "stopped 1",
        "stopped 2",
    ];
    assert_eq!(diary.lines(), expected);
}

#[tokio::test]
async fn two_services_of_a_type_are_one_too_many() {
    let diary = Diary::default();
    let [one, two] = [diary.clone(), diary.clone()];
    let data = tempfile::tempdir().unwrap();
    let node = node("foo")
        .data_dir(data.path())
        .service(move |_| Noting::<1>::new(&one, Fails::Never))
        .service(move |_| Noting::<1>::new(&two, Fails::Never))
        .build()
        .unwrap();

    let error = node.start().await.unwrap_err();

    assert_eq!(error.to_string(), "duplicate service: Noting<1>");
    assert_eq!(diary.lines(), ["built 1"]);
    // The original kept the directory locked for the life of the process.
    let other = common::node("foo").data_dir(data.path()).build().unwrap();
    other.start().await.unwrap();
    other.stop().await.unwrap();
}

/// A service that wants another one.
struct Needs(Arc<Noting<1>>);

impl Service for Needs {}

#[tokio::test]
async fn a_service_finds_those_that_were_registered_before_it() {
    let diary = Diary::default();
    let node = node("foo")
        .service(move |_| Ok::<_, Infallible>(Noting::<1>::new(&diary, Fails::Never)))
        .service(|context: &ServiceContext| context.service().map(Needs))
        .build()
        .unwrap();

    node.start().await.unwrap();

    let (needs, needed) = (node.service::<Needs>().unwrap(), node.service::<Noting<1>>().unwrap());
    assert!(Arc::ptr_eq(&needs.0, &needed));
    node.stop().await.unwrap();
}

#[tokio::test]
async fn a_service_does_not_find_those_that_come_after_it() {
    let diary = Diary::default();
    let node = node("foo")
        .service(|context: &ServiceContext| context.service().map(Needs))
        .service(move |_| Noting::<1>::new(&diary, Fails::Never))
        .build()
        .unwrap();

    let error = node.start().await.unwrap_err();

    assert_eq!(error.to_string(), "service Needs: not built: unknown service: Noting<1>");
}

#[tokio::test]
async fn a_service_that_fails_stops_those_before_it_in_reverse_order_n_05() {
    let diary = Diary::default();
    let [one, two, three, four] = [diary.clone(), diary.clone(), diary.clone(), diary.clone()];
    let node = node("foo")
        .service(move |_| Noting::<1>::new(&one, Fails::InStop))
        .service(move |_| Noting::<2>::new(&two, Fails::InStopByPanic))
        .service(move |_| Noting::<3>::new(&three, Fails::InStart))
        .service(move |_| Noting::<4>::new(&four, Fails::Never))
        .build()
        .unwrap();

    let error = node.start().await.unwrap_err();

    let StartFailure::Service(cause) = &error.cause else { panic!("{error}") };
    assert_eq!((cause.name, cause.step), ("Noting<3>", Step::Start));
    assert_eq!(
        error.to_string(),
        "service Noting<3>: not started: no luck; and then: service Noting<2>: not stopped: \
         panicked: startled; service Noting<1>: not stopped: stuck"
    );
    let after_building = &diary.lines()[4..];
    assert_eq!(after_building, ["started 1", "started 2", "stopped 2", "stopped 1"]);
    assert!(!node.is_running());
}

#[tokio::test]
async fn services_that_do_not_stop_well_are_all_reported() {
    let diary = Diary::default();
    let [one, two, three] = [diary.clone(), diary.clone(), diary.clone()];
    let node = node("foo")
        .service(move |_| Noting::<1>::new(&one, Fails::InStop))
        .service(move |_| Noting::<2>::new(&two, Fails::Never))
        .service(move |_| Noting::<3>::new(&three, Fails::InStopByPanic))
        .build()
        .unwrap();
    node.start().await.unwrap();

    let error = node.stop().await.unwrap_err();

    let StopError::Services(failures) = &error else { panic!("{error}") };
    assert_eq!(
        failures.iter().map(|failure| failure.name).collect::<Vec<_>>(),
        ["Noting<3>", "Noting<1>"]
    );
    assert!(!node.is_running());
}

/// Panics where it is told to.
struct Panics(Step);

impl Service for Panics {
    fn protocols(self: &Arc<Self>) -> Vec<Arc<dyn Protocol>> {
        assert_ne!(self.0, Step::Protocols, "oh");
        Vec::new()
    }

    fn apis(self: &Arc<Self>) -> Vec<Module> {
        assert_ne!(self.0, Step::Apis, "oh");
        Vec::new()
    }

    async fn start(self: &Arc<Self>, _server: Server) -> Result<(), BoxError> {
        assert_ne!(self.0, Step::Start, "oh");
        Ok(())
    }
}

#[tokio::test]
async fn a_panic_of_a_service_is_an_error_of_the_start() {
    for step in [Step::Construct, Step::Protocols, Step::Start, Step::Apis] {
        let construct = move |_: &ServiceContext| {
            assert_ne!(step, Step::Construct, "oh");
            Panics(step)
        };
        let node = node("foo").service(construct).build().unwrap();

        let error = within(node.start()).await.unwrap_err().to_string();

        assert!(error.starts_with(&format!("service Panics: {step}: panicked: ")), "{error}");
        assert!(!node.is_running());
    }
}

#[tokio::test]
async fn a_panic_of_a_setting_is_an_error_of_the_start() {
    let node = node("foo").p2p(|_| panic!("no server for you")).build().unwrap();

    let error = within(node.start()).await.unwrap_err();

    assert_eq!(error.to_string(), "a setting of the node panicked: no server for you");
    assert!(!node.is_running());
}

/// Keeps the server, and is kept by a protocol of that server.
struct Holder(Mutex<Option<Server>>);

impl Service for Holder {
    fn protocols(self: &Arc<Self>) -> Vec<Arc<dyn Protocol>> {
        let own = Arc::clone(self);
        vec![Arc::new(protocol_fn(Capability::new("foo", 1), 1, move |_, mut messages| {
            let own = Arc::clone(&own);
            async move {
                messages.recv().await?;
                drop(own);
                Ok(())
            }
        }))]
    }

    async fn start(self: &Arc<Self>, server: Server) -> Result<(), BoxError> {
        *self.0.lock().unwrap() = Some(server);
        Ok(())
    }
}

#[tokio::test]
async fn a_stopped_node_keeps_no_service_alive() {
    let node = node("foo").service(|_| Holder(Mutex::default())).build().unwrap();
    node.start().await.unwrap();
    let weak: Weak<Holder> = Arc::downgrade(&node.service::<Holder>().unwrap());

    node.stop().await.unwrap();

    assert!(weak.upgrade().is_none());
}

/// Offers a method, and one of the node's own under the same name.
struct Offers;

impl Service for Offers {
    fn apis(self: &Arc<Self>) -> Vec<Module> {
        let web3 =
            Module::new("web3").method("clientVersion", || async { rpc::Result::Ok("mine") });
        let more = Module::new("foo").method("bar", || async { rpc::Result::Ok(7) });
        vec![web3, more]
    }
}

#[tokio::test]
async fn what_a_service_offers_is_added_to_what_the_node_offers() {
    let node = node("foo").service(|_| Offers).build().unwrap();
    node.start().await.unwrap();
    let client = node.attach().unwrap();

    assert_eq!(client.call::<u64>("foo_bar", ()).await.unwrap(), 7);
    assert_eq!(client.call::<String>("web3_clientVersion", ()).await.unwrap(), "mine");
    assert!(client.call::<String>("web3_sha3", ("0x",)).await.is_ok());
    node.stop().await.unwrap();
}
