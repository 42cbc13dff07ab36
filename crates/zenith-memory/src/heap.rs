//! The heap of the process, as far as the system's allocator can be told about it.
#![allow(unsafe_code)]

/// Has the allocator give memory that is free back to the system: what a load needed once it would keep otherwise.
pub fn give_back_heap() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        unsafe extern "C" {
            fn malloc_trim(pad: usize) -> std::ffi::c_int;
        }
        // SAFETY: it may be called at any time from any thread.
        let _ = unsafe { malloc_trim(0) };
    }
}
