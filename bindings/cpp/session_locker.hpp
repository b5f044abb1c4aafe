// session-locker for C++: one owner at a time for every player's save data.
//
// Header-only over the C ABI of `session_locker.h`, which has the whole contract; C++17 and later, also
// with -fno-exceptions and -fno-rtti. What holds everywhere:
//
// - Errors. What can fail gives a `result<T>`, a std::expected where there is one, with an `error`: a
//   status and a message for a person. Nothing here throws, but `value()` of a result without one.
// - Handles. `profile`, `locker`, `easy_store` and the like own their handle, are moved, and free it at
//   their end; `profile_ref`, `locker_ref` and `save_data_ref` are names to be copied. A name whose object
//   is gone does no harm: questions are answered with no, and calls fail with `status::invalid_handle`.
// - Text. Parameters are std::string_view, copied before the call returns; structs and results have
//   std::string. What is lent to a lambda (events, drafts, texts) lives until it returns.
// - Lambdas. They are moved into the object that they are given to and destroyed once they can run no
//   more. They run inside a call of the host's, on its thread, with no lock held, and may call any
//   function. What they throw goes no further: of a hook it is the failure, of a callback it is logged.
// - Threads. Every function may be called from any thread, at any time; an object is moved, assigned or
//   destroyed by one thread while no other uses it.
// - Times are seconds.
#ifndef SESSION_LOCKER_HPP
#define SESSION_LOCKER_HPP

#include "session_locker/await.hpp"
#include "session_locker/callback.hpp"
#include "session_locker/clock.hpp"
#include "session_locker/config.hpp"
#include "session_locker/connection.hpp"
#include "session_locker/event.hpp"
#include "session_locker/locker.hpp"
#include "session_locker/migrator.hpp"
#include "session_locker/process.hpp"
#include "session_locker/profile.hpp"
#include "session_locker/purchase.hpp"
#include "session_locker/purchaser.hpp"
#include "session_locker/remote_change.hpp"
#include "session_locker/result.hpp"
#include "session_locker/save_data.hpp"
#include "session_locker/sender.hpp"
#include "session_locker/stats.hpp"
#include "session_locker/storage.hpp"
#include "session_locker/storage_host.hpp"
#include "session_locker/store.hpp"
#include "session_locker/task.hpp"
#include "session_locker/text.hpp"

#endif
