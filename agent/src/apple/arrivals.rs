//! Things that come and go in the IOKit registry, by event.
#![allow(
    unsafe_code,
    reason = "calls IOKit and libdispatch, which have no safe wrapper here; each call says why it is sound"
)]

use std::ffi::{CStr, c_char, c_void};

use super::core_foundation::Ref;
use super::iokit::{IOServiceMatching, Object};
use crate::sensors::Wake;

/// `kIOFirstMatchNotification`, `kIOTerminatedNotification`.
const KINDS: [&CStr; 2] = [c"IOServiceFirstMatch", c"IOServiceTerminate"];
const OK: i32 = 0;
const MAIN_PORT: u32 = 0;

type Callback = unsafe extern "C" fn(context: *mut c_void, iterator: u32);

#[link(name = "IOKit", kind = "framework")]
unsafe extern "C" {
    fn IONotificationPortCreate(port: u32) -> *mut c_void;
    fn IONotificationPortSetDispatchQueue(port: *mut c_void, queue: *mut c_void);
    fn IONotificationPortDestroy(port: *mut c_void);
    fn IOServiceAddMatchingNotification(
        port: *mut c_void,
        kind: *const c_char,
        matching: Ref,
        callback: Callback,
        context: *mut c_void,
        iterator: *mut u32,
    ) -> i32;
}

// libdispatch is a part of the system's library that every program has.
unsafe extern "C" {
    fn dispatch_queue_create(label: *const c_char, attributes: *const c_void) -> *mut c_void;
    fn dispatch_sync_f(queue: *mut c_void, context: *mut c_void, work: extern "C" fn(*mut c_void));
    fn dispatch_release(object: *mut c_void);
}

/// Wakes a sensor when an entry of one of some classes comes or goes. Ends when dropped.
#[derive(Debug)]
pub struct Arrivals {
    port: *mut c_void,
    /// Of one thread at a time.
    queue: *mut c_void,
    iterators: Vec<Object>,
    /// What the callbacks are handed; freed last.
    wake: *mut Wake,
}

// SAFETY: the port and the queue may be used from any thread, and the wake is only ever called through a shared
// reference, which it allows from any thread.
unsafe impl Send for Arrivals {}

impl Arrivals {
    /// Listens; `None` where the system does not let us.
    pub fn of(classes: &[&CStr], wake: Wake) -> Option<Self> {
        // SAFETY: the label ends with a zero; without attributes the queue runs one thing after another.
        let queue =
            unsafe { dispatch_queue_create(c"com.farmwatch.agent.devices".as_ptr(), std::ptr::null()) };
        // SAFETY: takes a number.
        let port = unsafe { IONotificationPortCreate(MAIN_PORT) };
        let wake = Box::into_raw(Box::new(wake));
        let mut arrivals = Self { port, queue, iterators: Vec::new(), wake };
        if port.is_null() || queue.is_null() {
            return None;
        }
        // SAFETY: both were just made and live until the drop.
        unsafe { IONotificationPortSetDispatchQueue(port, queue) };
        for class in classes {
            for kind in KINDS {
                arrivals.listen(kind, class)?;
            }
        }
        Some(arrivals)
    }

    fn listen(&mut self, kind: &CStr, class: &CStr) -> Option<()> {
        let mut iterator = 0;
        // SAFETY: the texts end with a zero; the dictionary is used up by the second call; the wake lives until no
        // callback runs any more (see the drop).
        let status = unsafe {
            let matching = IOServiceMatching(class.as_ptr());
            if matching.is_null() {
                return None;
            }
            IOServiceAddMatchingNotification(
                self.port,
                kind.as_ptr(),
                matching,
                changed,
                self.wake.cast(),
                &raw mut iterator,
            )
        };
        let iterator = Object::take(iterator).filter(|_| status == OK)?;
        // What is there already has to be taken before the next is told.
        while iterator.next().is_some() {}
        self.iterators.push(iterator);
        Some(())
    }
}

impl Drop for Arrivals {
    fn drop(&mut self) {
        // SAFETY: each was made in `of` and is given back once. Without the port nothing new is queued; waiting for
        // the queue, which does one thing after another, waits for a callback that runs; after that the wake is
        // nobody else's.
        unsafe {
            if !self.port.is_null() {
                IONotificationPortDestroy(self.port);
            }
            if !self.queue.is_null() {
                dispatch_sync_f(self.queue, std::ptr::null_mut(), nothing);
                dispatch_release(self.queue);
            }
            drop(Box::from_raw(self.wake));
        }
    }
}

/// Called on the queue.
unsafe extern "C" fn changed(wake: *mut c_void, iterator: u32) {
    // SAFETY: the iterator is the one that was asked for, and stays ours: what it gives is given back, it is not.
    let iterator = std::mem::ManuallyDrop::new(Object::take(iterator));
    while iterator.as_ref().is_some_and(|iterator| iterator.next().is_some()) {}
    // SAFETY: lives until no callback runs any more.
    let wake = unsafe { &*wake.cast::<Wake>() };
    wake.up();
}

extern "C" fn nothing(_: *mut c_void) {}
