// Processes the purchases of lockers, and products by hand: the seed's `ProductPurchaser` and
// `PendingProductPurchase`.
#ifndef SESSION_LOCKER_PURCHASER_HPP
#define SESSION_LOCKER_PURCHASER_HPP

#include "locker.hpp"
#include "profile.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

/// Processes the purchases of lockers. One does for a server; the host updates it every frame, best before
/// its lockers. A store has one of its own, for its profiles. Any thread.
///
/// Its end answers every purchase that is left with no. What was applied stays applied: its receipt, when
/// it comes again, is granted.
class product_purchaser : public base::owner<base::named<SlProductPurchaser>, product_purchaser_destroy> {
public:
    using owner::owner;

    /// Makes one with no purchases.
    [[nodiscard]] static result<product_purchaser> create() {
        SlProductPurchaser *made = nullptr;
        const SlStatus code = product_purchaser_create(&made);
        return detail::owned<product_purchaser>(code, made);
    }
    /// Does all there is to do, once a frame, on this thread. Never waits for the storage. `now` as for
    /// `easy_store::update`. Errors: `out_of_range`, `busy`.
    result<void> update(double now) const {
        return detail::checked(product_purchaser_update(handle(), now));
    }
    /// Whether a purchase is not answered yet. At shutdown, release the lockers and go on updating until
    /// it is no.
    [[nodiscard]] bool has_incomplete_purchases() const noexcept {
        return detail::ask<SlProductPurchaser>(product_purchaser_has_incomplete_purchases, handle());
    }

    /// Processes a purchase once the locker is available, and answers it once: all as for
    /// `profile_ref::call_when_product_is_processed_and_saved`, but that a purchase outlives a session: it
    /// waits for the locker's next one. Errors as there.
    template <typename Process, typename Answer>
    [[nodiscard]] result<void>
    call_when_product_is_processed_and_saved(locker_ref buyer, const receipt_info &receipt,
                                             Process &&process, Answer &&answer) const {
        const SlReceiptInfo raw = detail::raw_receipt(receipt);
        return detail::buy(std::forward<Process>(process), std::forward<Answer>(answer),
                           [&](SlProductProcess processes, auto... rest) {
                               return product_purchaser_call_when_product_is_processed_and_saved(
                                   handle(), buyer.handle(), processes, &raw, rest...);
                           });
    }
    /// `co_await` of the same gives a `result<bool>`: whether it is granted. About lambdas, see `profile_ref`.
    template <typename Process>
    [[nodiscard]] auto product_processed_and_saved(locker_ref buyer, const receipt_info &receipt,
                                                   Process &&process) const {
        return detail::buy_and_await(receipt, std::forward<Process>(process),
                                     [purchaser = handle(), locker = buyer.handle()](auto... rest) {
                                         return product_purchaser_call_when_product_is_processed_and_saved(
                                             purchaser, locker, rest...);
                                     });
    }
    /// The same, updating the purchaser and all lockers of the spec until it is answered, for at most
    /// `timeout` seconds. Blocks; for tools. Errors: those, `timeout`, `busy`, `out_of_range`.
    template <typename Process>
    [[nodiscard]] result<bool>
    wait_until_product_is_processed_and_saved(locker_ref buyer, const receipt_info &receipt,
                                              Process &&process, double timeout) const {
        const SlReceiptInfo raw = detail::raw_receipt(receipt);
        return detail::buy_and_wait(
            std::forward<Process>(process),
            [&](SlProductProcess processes, void *user_data, SlDrop drop, std::int32_t *was_granted) {
                return product_purchaser_wait_until_product_is_processed_and_saved(
                    handle(), buyer.handle(), processes, &raw, user_data, drop, timeout, was_granted);
            });
    }
};

/// A purchase that nobody makes, to run its process function by hand: to ask before a purchase is offered
/// whether it can be applied, and to give for credit what could not be given when it was paid for. Any
/// thread.
class pending_product_purchase
    : public base::owner<base::named<SlPendingProductPurchase>, pending_product_purchase_destroy> {
public:
    using owner::owner;

    /// Of a receipt, which is copied: the seed's `DummyPPP_FromReceiptInfo`. `process` as for
    /// `profile_ref::call_when_product_is_processed_and_saved`, kept until this is destroyed. Errors:
    /// `invalid_argument`, `invalid_utf8`, `limit`.
    template <typename Process>
    [[nodiscard]] static result<pending_product_purchase> from_receipt(const receipt_info &receipt,
                                                                       Process &&process) {
        const SlReceiptInfo raw = detail::raw_receipt(receipt);
        return make(std::forward<Process>(process), [&](SlProductProcess processes, void *user_data,
                                                        SlDrop drop, SlPendingProductPurchase **made) {
            return pending_product_purchase_from_receipt(processes, &raw, user_data, drop, made);
        });
    }
    /// Of a product and a player (empty for nobody): the seed's `DummyPPP_FromIds`. Errors as for
    /// `from_receipt`.
    template <typename Process>
    [[nodiscard]] static result<pending_product_purchase>
    from_ids(std::int64_t product_id, std::string_view user_id, Process &&process) {
        return make(std::forward<Process>(process), [&](SlProductProcess processes, void *user_data,
                                                        SlDrop drop, SlPendingProductPurchase **made) {
            return pending_product_purchase_from_ids(processes, product_id, detail::data_or_null(user_id),
                                                     user_id.size(), user_data, drop, made);
        });
    }

    /// Runs `product_op::validate` for a profile, a locker, or nobody: whether it is applicable. Also
    /// inside callbacks. Errors: `not_active`, `hook` (the function has failed).
    [[nodiscard]] result<bool> validate(profile_ref buyer) const {
        return run(pending_product_purchase_validate, nullptr, buyer.handle());
    }
    [[nodiscard]] result<bool> validate(locker_ref buyer) const {
        return run(pending_product_purchase_validate, buyer.handle(), nullptr);
    }
    [[nodiscard]] result<bool> validate() const {
        return run(pending_product_purchase_validate, nullptr, nullptr);
    }
    /// Runs `product_op::apply` on the save data of a profile or locker, for nothing: whether it was
    /// applied. Outside of updates. Errors: those, `not_loaded`, `busy`.
    [[nodiscard]] result<bool> apply(profile_ref buyer) const {
        return run(pending_product_purchase_apply, nullptr, buyer.handle());
    }
    [[nodiscard]] result<bool> apply(locker_ref buyer) const {
        return run(pending_product_purchase_apply, buyer.handle(), nullptr);
    }
    /// Gives the product for one credit of it: validates, then takes the credit and applies, in one step.
    /// False, and nothing has changed, if there is no credit or it is not applicable. Errors: those,
    /// `unsupported` (a gift is not given for credit).
    [[nodiscard]] result<bool> use_credit(profile_ref buyer) const {
        return run(pending_product_purchase_use_credit, nullptr, buyer.handle());
    }
    [[nodiscard]] result<bool> use_credit(locker_ref buyer) const {
        return run(pending_product_purchase_use_credit, buyer.handle(), nullptr);
    }

private:
    using step = SlStatus (*)(const SlPendingProductPurchase *, const SlLocker *, const SlProfile *,
                              std::int32_t *);

    [[nodiscard]] result<bool> run(step call, const SlLocker *locker, const SlProfile *profile) const {
        std::int32_t answer = 0;
        const SlStatus code = call(handle(), locker, profile, &answer);
        return detail::checked<bool>(code, answer);
    }

    template <typename Process, typename Call>
    static result<pending_product_purchase> make(Process &&process, Call &&call) {
        using box = detail::purchase<std::decay_t<Process>, detail::nobody_hears>;
        if (detail::is_empty<std::decay_t<Process>>(process)) {
            return detail::nothing_to_call();
        }
        std::unique_ptr<box> made(new box{std::forward<Process>(process), detail::nobody_hears{}});
        SlPendingProductPurchase *pending = nullptr;
        const result<void> outcome = detail::hand_over(std::move(made), [&](void *user_data) {
            return call(&detail::process_product<box>, user_data, &detail::drop<box>, &pending);
        });
        if (!outcome) {
            return unexpected(outcome.error());
        }
        return pending_product_purchase(pending);
    }
};

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
