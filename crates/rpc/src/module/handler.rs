//! Async functions as methods: arguments from JSON, the result to JSON.

use std::{fmt::Display, sync::Arc};

use futures_util::FutureExt as _;
use serde::Serialize;

use super::{AnyMethod, Reply};
use crate::{Context, IntoNotifications, Params, RpcError};

/// An async function that can be a method. `Marker` tells its arguments; it is always inferred.
pub trait Handler<Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_method(self) -> AnyMethod;
}

/// An async function that can be a subscription. `Marker` tells its arguments; it is always
/// inferred.
pub trait SubscriptionHandler<Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn into_subscription(self) -> AnyMethod;
}

/// An async function of an object that can be a method: the object comes before the arguments.
/// `Marker` tells those; it is always inferred.
pub trait HandlerOf<Object, Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn bind(self, object: Object) -> AnyMethod;
}

/// An async function of an object that can be a subscription: the object comes before the arguments.
/// `Marker` tells those; it is always inferred.
pub trait SubscriptionHandlerOf<Object, Marker>: Send + Sync + 'static {
    #[doc(hidden)]
    fn bind(self, object: Object) -> AnyMethod;
}

/// Marks a handler that takes the [`Context`] before its arguments.
#[derive(Debug)]
pub struct WithContext<Arguments>(std::marker::PhantomData<fn(Arguments)>);

macro_rules! handlers {
    ($($type:ident $name:ident),*) => {
        impl<Function, Out, T, E, $($type),*> Handler<($($type,)*)> for Function
        where
            Function: Fn($($type),*) -> Out + Send + Sync + 'static,
            Out: Future<Output = Result<T, E>> + Send + 'static,
            T: Serialize + 'static,
            E: Display + 'static,
            ($($type,)*): Params,
        {
            fn into_method(self) -> AnyMethod {
                AnyMethod(Arc::new(move |_context, params| {
                    let ($($name,)*) = Params::parse(params)?;
                    Ok(self($($name),*).map(value).boxed())
                }))
            }
        }

        impl<Function, Out, T, E, $($type),*> Handler<WithContext<($($type,)*)>> for Function
        where
            Function: Fn(Context, $($type),*) -> Out + Send + Sync + 'static,
            Out: Future<Output = Result<T, E>> + Send + 'static,
            T: Serialize + 'static,
            E: Display + 'static,
            ($($type,)*): Params,
        {
            fn into_method(self) -> AnyMethod {
                AnyMethod(Arc::new(move |context, params| {
                    let ($($name,)*) = Params::parse(params)?;
                    Ok(self(context, $($name),*).map(value).boxed())
                }))
            }
        }

        impl<Function, Out, T, E, $($type),*> SubscriptionHandler<($($type,)*)> for Function
        where
            Function: Fn($($type),*) -> Out + Send + Sync + 'static,
            Out: Future<Output = Result<T, E>> + Send + 'static,
            T: IntoNotifications,
            E: Display + 'static,
            ($($type,)*): Params,
        {
            fn into_subscription(self) -> AnyMethod {
                AnyMethod(Arc::new(move |_context, params| {
                    let ($($name,)*) = Params::parse_after_name(params)?;
                    Ok(self($($name),*).map(subscription).boxed())
                }))
            }
        }

        impl<Function, Out, T, E, $($type),*> SubscriptionHandler<WithContext<($($type,)*)>>
            for Function
        where
            Function: Fn(Context, $($type),*) -> Out + Send + Sync + 'static,
            Out: Future<Output = Result<T, E>> + Send + 'static,
            T: IntoNotifications,
            E: Display + 'static,
            ($($type,)*): Params,
        {
            fn into_subscription(self) -> AnyMethod {
                AnyMethod(Arc::new(move |context, params| {
                    let ($($name,)*) = Params::parse_after_name(params)?;
                    Ok(self(context, $($name),*).map(subscription).boxed())
                }))
            }
        }

        impl<Function, Object, Out, T, E, $($type),*> HandlerOf<Object, ($($type,)*)> for Function
        where
            Function: Fn(Object, $($type),*) -> Out + Send + Sync + 'static,
            Object: Clone + Send + Sync + 'static,
            Out: Future<Output = Result<T, E>> + Send + 'static,
            T: Serialize + 'static,
            E: Display + 'static,
            ($($type,)*): Params,
        {
            fn bind(self, object: Object) -> AnyMethod {
                (move |$($name: $type),*| self(object.clone(), $($name),*)).into_method()
            }
        }

        impl<Function, Object, Out, T, E, $($type),*> SubscriptionHandlerOf<Object, ($($type,)*)>
            for Function
        where
            Function: Fn(Object, $($type),*) -> Out + Send + Sync + 'static,
            Object: Clone + Send + Sync + 'static,
            Out: Future<Output = Result<T, E>> + Send + 'static,
            T: IntoNotifications,
            E: Display + 'static,
            ($($type,)*): Params,
        {
            fn bind(self, object: Object) -> AnyMethod {
                (move |$($name: $type),*| self(object.clone(), $($name),*)).into_subscription()
            }
        }
    };
}

handlers!();
handlers!(A a);
handlers!(A a, B b);
handlers!(A a, B b, C c);
handlers!(A a, B b, C c, D d);
handlers!(A a, B b, C c, D d, F f);
handlers!(A a, B b, C c, D d, F f, G g);
handlers!(A a, B b, C c, D d, F f, G g, H h);
handlers!(A a, B b, C c, D d, F f, G g, H h, I i);

fn value<T: Serialize, E: Display + 'static>(outcome: Result<T, E>) -> Result<Reply, RpcError> {
    let value = outcome.map_err(RpcError::from_handler)?;
    let json = serde_json::to_vec(&value).map_err(|error| RpcError::not_encodable(&error))?;
    Ok(Reply::Value(json))
}

fn subscription<T: IntoNotifications, E: Display + 'static>(
    outcome: Result<T, E>,
) -> Result<Reply, RpcError> {
    let stream = outcome.map_err(RpcError::from_handler)?;
    Ok(Reply::Subscription { id: None, values: stream.into_notifications() })
}
