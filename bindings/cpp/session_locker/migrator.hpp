// How save data of older versions is brought up to date: `migrator_builder` and what it builds.
#ifndef SESSION_LOCKER_MIGRATOR_HPP
#define SESSION_LOCKER_MIGRATOR_HPP

#include "save_data.hpp"

namespace session_locker {
inline namespace SESSION_LOCKER_MODE {
namespace detail {

template <typename F> SlStatus migrate(void *user_data, SlSaveData *data, double *version_patch) noexcept {
    F &migrator = *static_cast<F *>(user_data);
    return run_hook([&]() -> result<void> {
        if constexpr (std::is_invocable_v<F &, save_data_ref, double &>) {
            return outcome_of(migrator, save_data_ref(data), *version_patch);
        } else {
            return outcome_of(migrator, save_data_ref(data));
        }
    });
}

} // namespace detail

/// Migrators and patchers that fit together, ready for a store or a spec. It never changes, and what was
/// created with it keeps its own.
class migrators : public base::owner<base::named<SlMigrators>, migrators_destroy> {
public:
    using owner::owner;

    /// Brings a save data of the host's own to a version, as a locker does when it loads: all of it or
    /// nothing. For tools and tests. Errors: `unsupported` (of a session, or a draft), `migration`.
    [[nodiscard]] result<void> migrate(save_data_ref data, std::uint32_t to_version) const {
        return detail::checked(migrators_migrate(handle(), data.handle(), to_version));
    }
};

/// Collects migrators and patchers, and checks that they fit together. Any thread.
///
/// A migrator is a lambda that writes to a draft: `[](save_data_ref data) { … }`, or with a second
/// parameter `double &version_patch`, which is what `VersionPatch` will be. It may run again on the same
/// save data, on any thread that calls in, and must depend on that save data alone. What it may return,
/// see `hook`; if it fails, nothing is kept, and the load status is `migration_failed`.
class migrator_builder : public base::owner<base::named<SlMigratorBuilder>, migrator_builder_destroy> {
public:
    using owner::owner;

    /// An empty one.
    [[nodiscard]] static result<migrator_builder> create() {
        SlMigratorBuilder *made = nullptr;
        const SlStatus code = migrator_builder_create(&made);
        return detail::owned<migrator_builder>(code, made);
    }
    /// Adds the migrator from a version to the next; 0 is that of save data that does not say its own.
    /// Errors: `migration` (there is one already, or no version after it).
    template <typename F> [[nodiscard]] result<void> add_migrator_from(std::uint32_t from, F &&migrator) {
        return add(migrator_builder_add_migrator_from, from, std::forward<F>(migrator));
    }
    /// Adds the patcher for save data that is stored in a version; it runs before any migrator, and its
    /// `version_patch` is that of the save data. Errors as for `add_migrator_from`.
    template <typename F> [[nodiscard]] result<void> add_patcher_for(std::uint32_t version, F &&patcher) {
        return add(migrator_builder_add_patcher_for, version, std::forward<F>(patcher));
    }
    /// Checks that `current` is the version that the migrators lead to. Errors: `migration`.
    [[nodiscard]] result<void> check_version(std::uint32_t current) const {
        return detail::checked(migrator_builder_check_version(handle(), current));
    }
    /// Gives what was added so far; the builder stays usable. Errors: `migration` (one is missing).
    [[nodiscard]] result<migrators> build() const {
        SlMigrators *made = nullptr;
        const SlStatus code = migrator_builder_build(handle(), &made);
        return detail::owned<migrators>(code, made);
    }

private:
    using adder = SlStatus (*)(SlMigratorBuilder *, std::uint32_t, SlMigrator, void *, SlDrop);

    template <typename F> result<void> add(adder added, std::uint32_t version, F &&given) {
        using kept = std::decay_t<F>;
        return detail::hand_over_callable(std::forward<F>(given), [&](void *user_data) {
            return added(handle(), version, &detail::migrate<kept>, user_data, &detail::drop<kept>);
        });
    }
};

} // namespace SESSION_LOCKER_MODE
} // namespace session_locker

#endif
