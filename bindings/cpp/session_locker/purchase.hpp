// Purchases: receipts, and the host's function that processes products.
#ifndef SESSION_LOCKER_PURCHASE_HPP
#define SESSION_LOCKER_PURCHASE_HPP

#include "await.hpp"
#include "save_data.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {

class profile_ref;
class locker_ref;

/// What was bought, by whom and for how much: the seed's `ReceiptInfo`.
struct receipt_info {
    /// The receipt's own id, 1 to 256 bytes. With the product, it is what a purchase is known by.
    std::string purchase_id = {};
    /// What was bought.
    std::int64_t product_id = 0;
    /// Who has bought it, as the platform names players, at most 128 bytes; empty if nobody says.
    std::string user_id = {};
    /// The place where it was bought.
    std::int64_t place_id = 0;
    /// What was paid, in the smallest unit of the currency, such as cents.
    std::int64_t currency_spent = 0;
};

/// What a process function is called for. In each, an error that is neither `not_applicable()` nor
/// `not_now()` is a failure: what was written is undone, and it is told with `activity::purchase`.
enum class product_op : std::int32_t {
    /// Can the product be applied, and to whom? Nothing is written here. With `not_applicable()` it
    /// becomes credit; with `not_now()` the purchase is answered with no.
    validate = SL_PRODUCT_OP_VALIDATE,
    /// Give it, by writing to `product_call::save_data`, and to no other save data. With
    /// `not_applicable()` it becomes credit; a gift is answered with no.
    apply = SL_PRODUCT_OP_APPLY,
    /// Note in the purchaser's save data what is to be known of each purchase. Once a purchase.
    record = SL_PRODUCT_OP_RECORD,
};

/// What a process function is called for. It lives until the function returns.
class product_call {
public:
    /// Reads a call of the C ABI, which must outlive this.
    explicit product_call(SlProductCall &raw) noexcept : raw_(&raw) {}
    product_call(const product_call &) = delete;
    product_call &operator=(const product_call &) = delete;
    ~product_call() = default;

    /// The receipt.
    [[nodiscard]] receipt_info receipt() const {
        const SlReceiptInfo &from = *raw_->receipt;
        return receipt_info{std::string(detail::view(from.purchase_id, from.purchase_id_length)),
                            from.product_id, std::string(detail::view(from.user_id, from.user_id_length)),
                            from.place_id, from.currency_spent};
    }
    /// The purchaser's profile; none for a locker's purchase, and once the host has destroyed it.
    [[nodiscard]] profile_ref profile() const noexcept;
    /// The purchaser's locker; none for a profile's purchase, and once the host has destroyed it.
    [[nodiscard]] locker_ref locker() const noexcept;
    /// The save data that may be written: to apply, the purchaser's or for a gift the recipient's; to
    /// record, the purchaser's. None to validate.
    [[nodiscard]] save_data_ref save_data() const noexcept { return save_data_ref(raw_->save_data); }
    /// For `validate`: the purchase is a gift to this profile, of the same store.
    void set_recipient(profile_ref recipient) const noexcept;
    /// For `validate`: the purchase is a gift to this locker, of the same spec.
    void set_recipient(locker_ref recipient) const noexcept;

private:
    SlProductCall *raw_;
};

namespace detail {

// Lent by what it is made of.
[[nodiscard]] inline SlReceiptInfo raw_receipt(const receipt_info &from) {
    SlReceiptInfo raw{};
    session_locker_receipt_info_init(&raw, sizeof raw);
    raw.purchase_id = from.purchase_id.data();
    raw.purchase_id_length = from.purchase_id.size();
    raw.product_id = from.product_id;
    raw.user_id = data_or_null(from.user_id);
    raw.user_id_length = from.user_id.size();
    raw.place_id = from.place_id;
    raw.currency_spent = from.currency_spent;
    return raw;
}

// Runs the process function that a user_data of the type Box has.
template <typename Box>
SlStatus process_product(void *user_data, SlProductOp op, SlProductCall *raw) noexcept {
    return run_hook([&] {
        const product_call call(*raw);
        return outcome_of(static_cast<Box *>(user_data)->processes, static_cast<product_op>(op), call);
    });
}

// The user_data of a purchase: what processes it, and what hears the answer.
template <typename Process, typename Answer> struct purchase {
    static void answer(void *user_data, std::int32_t is_granted) noexcept {
        run_callback([&] { static_cast<purchase *>(user_data)->answers(is_granted != 0); });
    }

    Process processes;
    Answer answers;
};

struct nobody_hears {
    void operator()(bool) const noexcept {}
};

// As a purchase, with a coroutine that hears the answer.
template <typename Process> struct awaited_purchase : answering<bool> {
    awaited_purchase(std::shared_ptr<waiting<bool>> given, Process process)
        : answering<bool>(std::move(given)), processes(std::move(process)) {}

    static void answer(void *user_data, std::int32_t is_granted) noexcept {
        static_cast<awaited_purchase *>(user_data)->state->answer = is_granted != 0;
    }

    Process processes;
};

// Asks for a purchase: `call(process, callback, user_data, drop)` is the call of the C ABI.
template <typename Process, typename Answer, typename Call>
[[nodiscard]] result<void> buy(Process &&process, Answer &&answer, Call &&call) {
    using box = purchase<std::decay_t<Process>, std::decay_t<Answer>>;
    if (is_empty<std::decay_t<Process>>(process) || is_empty<std::decay_t<Answer>>(answer)) {
        return nothing_to_call();
    }
    // make_unique cannot fill an aggregate.
    std::unique_ptr<box> made(new box{std::forward<Process>(process), std::forward<Answer>(answer)});
    return hand_over(std::move(made), [&](void *user_data) {
        return call(&process_product<box>, &box::answer, user_data, &drop<box>);
    });
}

// Asks for a purchase and waits: `call(process, user_data, drop, was_granted)` is the call of the C ABI.
template <typename Process, typename Call>
[[nodiscard]] result<bool> buy_and_wait(Process &&process, Call &&call) {
    using box = purchase<std::decay_t<Process>, nobody_hears>;
    if (is_empty<std::decay_t<Process>>(process)) {
        return nothing_to_call();
    }
    std::unique_ptr<box> made(new box{std::forward<Process>(process), nobody_hears{}});
    std::int32_t was_granted = 0;
    const SlStatus code =
        call(&process_product<box>, static_cast<void *>(made.get()), &drop<box>, &was_granted);
    result<bool> outcome = checked<bool>(code, was_granted);
    // With these it is the library's all the same, for the purchase goes on.
    if (code == SL_OK || code == SL_ERROR_TIMEOUT || code == SL_ERROR_PANIC) {
        static_cast<void>(made.release());
    }
    return outcome;
}

// Something to await that asks for a purchase: `call(process, receipt, callback, user_data, drop)` is the
// call of the C ABI.
template <typename Process, typename Call>
[[nodiscard]] auto buy_and_await(const receipt_info &receipt, Process &&process, Call call) {
    using kept = std::decay_t<Process>;
    using box = awaited_purchase<kept>;
    auto start = [call, receipt, processes = kept(std::forward<Process>(process))](
                     std::shared_ptr<waiting<bool>> state) mutable -> result<void> {
        if (is_empty<kept>(processes)) {
            return nothing_to_call();
        }
        const SlReceiptInfo raw = raw_receipt(receipt);
        return hand_over(std::make_unique<box>(std::move(state), std::move(processes)),
                         [&](void *user_data) {
                             return call(&process_product<box>, &raw, &box::answer, user_data, &go_on<box>);
                         });
    };
    return awaits<bool>(std::move(start));
}

} // namespace detail
} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
