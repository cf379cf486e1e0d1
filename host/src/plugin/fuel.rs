//! What a call of the host costs the component: nothing that the host does for it is free.

use super::call::{Call, Stopped};
use wasmtime::StoreContextMut;
use wasmtime::component::{ComponentNamedList, Lift, LinkerInstance, Lower};

/// Fuel that a call of the host costs, besides what it hands over and has done.
const CALL_FUEL: u64 = 500;

/// Offers a function of the host to components. Each call of it is charged before anything is done.
pub(super) fn offer<P, R, F>(
    instance: &mut LinkerInstance<'_, Call>,
    name: &str,
    func: F,
) -> Result<(), wasmtime::Error>
where
    P: ComponentNamedList + Lift + 'static,
    R: ComponentNamedList + Lower + 'static,
    F: Fn(StoreContextMut<'_, Call>, P) -> Result<R, wasmtime::Error> + Send + Sync + 'static,
{
    instance.func_wrap(name, move |mut store: StoreContextMut<'_, Call>, parameters: P| {
        charge(&mut store, CALL_FUEL)?;
        func(store, parameters)
    })
}

/// Takes fuel away; ends the call where there is not so much left.
pub(super) fn charge(store: &mut StoreContextMut<'_, Call>, cost: u64) -> Result<(), wasmtime::Error> {
    match store.get_fuel()?.checked_sub(cost) {
        Some(left) => store.set_fuel(left),
        None => Err(Stopped::OutOfFuel.into()),
    }
}
