// One player's session: the seed's `EasyProfile`.
#ifndef SESSION_LOCKER_PROFILE_HPP
#define SESSION_LOCKER_PROFILE_HPP

#include "connection.hpp"
#include "purchase.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// One player's session, by its name: what hooks and events have, and what `profile` can do. A name that
/// nothing answers to any more is no danger: questions are answered with no, and calls fail with
/// `invalid_handle`.
///
/// Every function: any thread, also inside callbacks. Lambdas that are given away are destroyed when they
/// can run no more: once they have run, where they run once; when they are disconnected or replaced; or
/// when the profile is finished or destroyed. They run inside a call of the host's, on its thread.
class profile_ref : public base::named<SlProfile> {
public:
    using named::named;

    /// The key that the session was started for.
    [[nodiscard]] result<std::string> key() const {
        detail::buffer text;
        const SlStatus code = profile_get_key(handle(), text.out());
        return detail::text_of(code, text);
    }
    /// Whether the session has not been ended by the host.
    [[nodiscard]] bool is_active() const noexcept { return asks(profile_is_active); }
    /// Whether the save data is the player's.
    [[nodiscard]] bool is_loaded() const noexcept { return asks(profile_is_loaded); }
    /// Whether the save data is the player's and will be saved: what to ask before doing what must not be
    /// done twice. It turns to no before another server could take the key.
    [[nodiscard]] bool is_available() const noexcept { return asks(profile_is_available); }
    /// Whether the session is over and its key released.
    [[nodiscard]] bool is_finished() const noexcept { return asks(profile_is_finished); }
    /// How far loading has come. Errors: `not_active` (the session is over).
    [[nodiscard]] result<session_locker::load_status> load_status() const {
        std::int32_t status = 0;
        const SlStatus code = profile_load_status(handle(), &status);
        return detail::checked<session_locker::load_status>(code, status);
    }
    /// The version that a server must have for this document, after `load_status::invalid_version`; else
    /// 0. Errors: `not_active`.
    [[nodiscard]] result<std::uint32_t> load_minimum_server_version() const {
        std::uint32_t version = 0;
        const SlStatus code = profile_load_minimum_server_version(handle(), &version);
        return detail::checked<std::uint32_t>(code, version);
    }
    /// The document of the session that was lost last, with what was not saved, as JSON. Errors:
    /// `not_found` (none was), `not_active` (the session is over).
    [[nodiscard]] result<std::string> get_lost_save_data() const {
        detail::buffer json;
        const SlStatus code = profile_get_lost_save_data(handle(), json.out());
        return detail::text_of(code, json);
    }
    /// The save data: the player's while loaded, else the default. Each write counts as a change. Of a
    /// profile that is gone it names nothing.
    [[nodiscard]] save_data_ref get_save_data() const noexcept {
        SlSaveData *data = nullptr;
        return profile_get_save_data(handle(), &data) == SL_OK ? save_data_ref(data) : save_data_ref();
    }

    /// Notes a change that the save data does not know of: it is in the next save. Errors: `not_active`.
    result<void> mark_should_save() const { return detail::checked(profile_mark_should_save(handle())); }
    /// Saves at the next update. Errors: `not_active`.
    result<void> mark_force_save() const { return detail::checked(profile_mark_force_save(handle())); }
    /// Ends the session: it is saved and released in the updates that follow, and heard until `finished`.
    result<void> end_session() const { return detail::checked(profile_end_session(handle())); }
    /// Sets what the session's log lines begin with, at most 1024 bytes; empty for the default. Errors:
    /// `invalid_argument`, `invalid_utf8`, `not_active`.
    result<void> set_log_prefix(std::string_view prefix) const {
        return detail::checked(profile_set_log_prefix(handle(), prefix.data(), prefix.size()));
    }

    /// Calls `told()` once the profile is loaded, at the next update if it is already; never, if the
    /// session ends first or loading is given up. Errors: `not_active` (the session was ended).
    template <typename F> [[nodiscard]] result<void> when_loaded(F &&told) const {
        using kept = std::decay_t<F>;
        return detail::hand_over_callable(std::forward<F>(told), [&](void *user_data) {
            const SlLoadedCallback tell = [](void *of, SlProfile *) noexcept {
                detail::run_callback([&] { (*static_cast<kept *>(of))(); });
            };
            return profile_when_loaded(handle(), tell, user_data, &detail::drop<kept>);
        });
    }
    /// `co_await profile.loaded()` gives a `result<void>`: `not_active` if the session ends first
    /// or loading is given up; `load_status` tells which.
    [[nodiscard]] auto loaded() const {
        auto start = [profile = handle()](std::shared_ptr<detail::waiting<detail::nothing>> state) {
            return detail::hand_over(std::make_unique<loads>(std::move(state)), [&](void *user_data) {
                return profile_when_loaded(profile, &loads::tell, user_data, &detail::go_on<loads>);
            });
        };
        return detail::awaits<detail::nothing>(std::move(start));
    }
    /// Updates the store until the profile is loaded, for at most `timeout` seconds. Blocks; for tools.
    /// Errors: `timeout`, `not_active`, `not_loaded` (loading was given up: see `load_status`), `busy`,
    /// `out_of_range`.
    [[nodiscard]] result<void> wait_until_loaded(double timeout) const {
        return detail::checked(profile_wait_until_loaded(handle(), timeout));
    }

    /// Calls `told(outcome)` once the changes made so far are saved, or are not. Errors: `not_active` (the
    /// profile is finished), `limit`.
    template <typename F> [[nodiscard]] result<void> when_changes_saved(F &&told) const {
        return detail::when_saved(std::forward<F>(told), [&](auto... rest) {
            return profile_when_changes_saved(handle(), rest..., nullptr);
        });
    }
    /// The same for who wants to look at the wait, or may give it up: nobody is called, and a host that
    /// polls hears `event_kind::changes_saved`. Errors as for `when_changes_saved`.
    [[nodiscard]] result<saved_connection> watch_changes_saved() const {
        SlSavedConnection *made = nullptr;
        const SlStatus code = profile_when_changes_saved(handle(), nullptr, nullptr, nullptr, &made);
        return detail::owned<saved_connection>(code, made);
    }
    /// `co_await profile.changes_saved()` gives a `result<outcome>`.
    [[nodiscard]] auto changes_saved() const {
        return detail::await_saved([profile = handle()](auto... rest) {
            return profile_when_changes_saved(profile, rest..., nullptr);
        });
    }
    /// Updates the store until the changes made so far are saved (true) or the session has ended without
    /// them, as far as anybody knows (false), for at most `timeout` seconds. Blocks; for tools. Errors: `timeout`, `busy`,
    /// `not_active`, `out_of_range`.
    [[nodiscard]] result<bool> wait_until_changes_saved(double timeout) const {
        std::int32_t was_saved = 0;
        const SlStatus code = profile_wait_until_changes_saved(handle(), timeout, &was_saved);
        return detail::checked<bool>(code, was_saved);
    }

    /// Calls `told(const event &)` every time a signal fires, for as long as the connection lives. Errors:
    /// `not_active` (the profile is finished), `limit`, `invalid_argument` (an empty std::function).
    template <typename F> [[nodiscard]] result<signal_connection> connect(signal which, F &&told) const {
        return listen(profile_connect, which, std::forward<F>(told));
    }
    /// Calls it the next time the signal fires, and not again. Errors as for `connect`.
    template <typename F>
    [[nodiscard]] result<signal_connection> connect_once(signal which, F &&told) const {
        return listen(profile_connect_once, which, std::forward<F>(told));
    }
    /// Any step but the last: `told(lifecycle, reason)`. Errors of this and the next as for `connect`.
    template <typename F> [[nodiscard]] result<signal_connection> on_lifecycle(F &&told) const {
        return adapt(signal::lifecycle, std::forward<F>(told),
                     [](auto &kept, const event &of) { kept(of.lifecycle(), of.reason()); });
    }
    /// The save data was replaced: `told(reason)`.
    template <typename F> [[nodiscard]] result<signal_connection> on_replaced(F &&told) const {
        return adapt(signal::replaced, std::forward<F>(told),
                     [](auto &kept, const event &of) { kept(of.reason()); });
    }
    /// The save data was replaced by the default: `told(reason)`.
    template <typename F> [[nodiscard]] result<signal_connection> on_reset(F &&told) const {
        return adapt(signal::reset, std::forward<F>(told),
                     [](auto &kept, const event &of) { kept(of.reason()); });
    }
    /// The save data was replaced by the player's: `told()`.
    template <typename F> [[nodiscard]] result<signal_connection> on_loaded(F &&told) const {
        return plain(signal::loaded, std::forward<F>(told));
    }
    /// The save data is in the storage: `told()`.
    template <typename F> [[nodiscard]] result<signal_connection> on_saved(F &&told) const {
        return plain(signal::saved, std::forward<F>(told));
    }
    /// The session was released: `told()`.
    template <typename F> [[nodiscard]] result<signal_connection> on_released(F &&told) const {
        return plain(signal::released, std::forward<F>(told));
    }
    /// The session was lost: `told()`. `get_lost_save_data` has what was not saved.
    template <typename F> [[nodiscard]] result<signal_connection> on_lost(F &&told) const {
        return plain(signal::lost, std::forward<F>(told));
    }
    /// The host has ended the session: `told()`.
    template <typename F> [[nodiscard]] result<signal_connection> on_destroyed(F &&told) const {
        return plain(signal::destroyed, std::forward<F>(told));
    }
    /// The session is over and its key released, the last thing a profile says: `told()`.
    template <typename F> [[nodiscard]] result<signal_connection> on_finished(F &&told) const {
        return plain(signal::finished, std::forward<F>(told));
    }
    /// Product credit was given or used: `told(product_id, amount)`, negative for what was used.
    template <typename F>
    [[nodiscard]] result<signal_connection> on_product_credit_changed(F &&told) const {
        return adapt(signal::product_credit_changed, std::forward<F>(told),
                     [](auto &kept, const event &of) { kept(of.product_id(), of.amount()); });
    }

    /// Sets the hook that runs before every save, the final one included, and may write to the save data:
    /// `[](profile_ref profile)`; nullptr for none. If it fails, the save is put off. Errors: `not_active`.
    template <typename F> result<void> set_before_save(F &&given) const {
        return set_hook(profile_set_before_save, std::forward<F>(given));
    }
    /// Sets the second such hook, which runs after the first, just before the document is written out.
    template <typename F> result<void> set_before_save_transform(F &&given) const {
        return set_hook(profile_set_before_save_transform, std::forward<F>(given));
    }

    /// How much of a product the player has paid for and not been given yet. Errors: `not_loaded`,
    /// `not_active`.
    [[nodiscard]] result<std::int64_t> product_credit_query(std::int64_t product_id) const {
        std::int64_t credit = 0;
        const SlStatus code = profile_product_credit_query(handle(), product_id, &credit);
        return detail::checked<std::int64_t>(code, credit);
    }
    /// Adds 1 or more to the credit of a product. Errors: those, `out_of_range`, `busy`.
    [[nodiscard]] result<void> product_credit_give(std::int64_t product_id, std::int64_t amount) const {
        return detail::checked(profile_product_credit_give(handle(), product_id, amount));
    }
    /// Takes 1 or more from the credit of a product: true, or false where there is too little and nothing
    /// has changed. Errors as for `product_credit_give`.
    [[nodiscard]] result<bool> product_credit_use(std::int64_t product_id, std::int64_t amount) const {
        std::int32_t did_use = 0;
        const SlStatus code = profile_product_credit_use(handle(), product_id, amount, &did_use);
        return detail::checked<bool>(code, did_use);
    }

    /// Processes a purchase once the save data is available, and answers it once: `answer(bool granted)`.
    /// To be called for each receipt that the platform brings, as often as it brings it. `process` is
    /// `[](product_op op, const product_call &call)`, and may return what a `hook` may; it may run more often
    /// than the purchase is granted, and should do nothing but change save data. Both are kept until the
    /// answer. Errors: `invalid_argument`, `invalid_utf8`, `not_active`, `limit`.
    template <typename Process, typename Answer>
    [[nodiscard]] result<void> call_when_product_is_processed_and_saved(const receipt_info &receipt,
                                                                        Process &&process,
                                                                        Answer &&answer) const {
        const SlReceiptInfo raw = detail::raw_receipt(receipt);
        return detail::buy(std::forward<Process>(process), std::forward<Answer>(answer),
                           [&](SlProductProcess processes, auto... rest) {
                               return profile_call_when_product_is_processed_and_saved(handle(), processes,
                                                                                       &raw, rest...);
                           });
    }
    /// `co_await` of the same gives a `result<bool>`: whether it is granted. Name the receipt, and a
    /// lambda that holds something, before the `co_await`: g++ 12 destroys such objects twice if they are
    /// made inside it.
    template <typename Process>
    [[nodiscard]] auto product_processed_and_saved(const receipt_info &receipt, Process &&process) const {
        return detail::buy_and_await(
            receipt, std::forward<Process>(process), [profile = handle()](auto... rest) {
                return profile_call_when_product_is_processed_and_saved(profile, rest...);
            });
    }
    /// The same, updating the store until it is answered, for at most `timeout` seconds. Blocks; for
    /// tools. Errors: those, `timeout` (the purchase goes on), `busy`, `out_of_range`.
    template <typename Process>
    [[nodiscard]] result<bool> wait_until_product_is_processed_and_saved(const receipt_info &receipt,
                                                                         Process &&process,
                                                                         double timeout) const {
        const SlReceiptInfo raw = detail::raw_receipt(receipt);
        return detail::buy_and_wait(std::forward<Process>(process), [&](SlProductProcess processes,
                                                                        void *user_data, SlDrop drop,
                                                                        std::int32_t *was_granted) {
            return profile_wait_until_product_is_processed_and_saved(handle(), processes, &raw, user_data,
                                                                     drop, timeout, was_granted);
        });
    }

private:
    struct loads : detail::answering<detail::nothing> {
        using answering::answering;
        static void tell(void *user_data, SlProfile *) noexcept {
            static_cast<loads *>(user_data)->state->answer.emplace();
        }
    };

    using asked = SlStatus (*)(const SlProfile *, std::int32_t *);
    using connects = SlStatus (*)(const SlProfile *, std::int32_t, SlSignalCallback, void *, SlDrop,
                                  SlSignalConnection **);
    using sets = SlStatus (*)(const SlProfile *, SlBeforeSave, void *, SlDrop);

    [[nodiscard]] bool asks(asked question) const noexcept {
        return detail::ask<SlProfile>(question, handle());
    }

    template <typename F> result<signal_connection> listen(connects call, signal which, F &&told) const {
        using kept = std::decay_t<F>;
        SlSignalConnection *made = nullptr;
        const result<void> outcome =
            detail::hand_over_callable(std::forward<F>(told), [&](void *user_data) {
                const SlSignalCallback tell = [](void *of, SlProfile *, const SlEvent *raw) noexcept {
                    detail::run_callback([&] { (*static_cast<kept *>(of))(event(*raw)); });
                };
                return call(handle(), static_cast<std::int32_t>(which), tell, user_data,
                            &detail::drop<kept>, &made);
            });
        if (!outcome) {
            return unexpected(outcome.error());
        }
        return signal_connection(made);
    }

    // A listener that is told only what concerns it: `tell(kept, event)` calls it.
    template <typename F, typename Tell>
    result<signal_connection> adapt(signal which, F &&told, Tell tell) const {
        if (detail::is_empty<std::decay_t<F>>(told)) {
            return detail::nothing_to_call();
        }
        return connect(which, [kept = std::decay_t<F>(std::forward<F>(told)), tell](
                                  const event &of) mutable { tell(kept, of); });
    }

    template <typename F> result<signal_connection> plain(signal which, F &&told) const {
        return adapt(which, std::forward<F>(told), [](auto &kept, const event &) { kept(); });
    }

    template <typename F> result<void> set_hook(sets call, F &&given) const {
        using kept = std::decay_t<F>;
        if constexpr (!std::is_null_pointer_v<kept>) {
            if (!detail::is_empty<kept>(given)) {
                return detail::hand_over_callable(std::forward<F>(given), [&](void *user_data) {
                    const SlBeforeSave run = [](void *of, SlProfile *raw) noexcept {
                        return detail::run_hook(
                            [&] { return detail::outcome_of(*static_cast<kept *>(of), profile_ref(raw)); });
                    };
                    return call(handle(), run, user_data, &detail::drop<kept>);
                });
            }
        }
        return detail::checked(call(handle(), nullptr, nullptr, nullptr));
    }
};

/// One player's session, owned. Its end, and `destroy`, end the session and free the profile; the store
/// saves and releases by itself, but hooks and listeners are not called any more. So where hooks are to
/// run before the final save, call `end_session` first, and let the profile go once it is finished.
/// Outliving its store does no harm. Made by `easy_store::start_session`.
class profile : public base::owner<profile_ref, profile_destroy> {
public:
    using owner::owner;
};

inline profile_ref event::profile() const noexcept { return profile_ref(raw_->profile); }
inline profile_ref product_call::profile() const noexcept { return profile_ref(raw_->profile); }
inline void product_call::set_recipient(profile_ref recipient) const noexcept {
    raw_->recipient_profile = recipient.handle();
}

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
