using System;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// What lockers have in common: the original's <c>LockerSpec</c>. Lockers and senders made from it go on when it is
    /// disposed.
    /// </summary>
    public sealed unsafe class LockerSpec : NativeObject
    {
        private static readonly Func<IntPtr, int> Destroy = spec => NativeMethods.locker_spec_destroy((SlLockerSpec*)spec);

        private readonly SessionHooks hooks;

        /// <summary>
        /// Makes a spec for the records of a storage, which stays open as long as the spec or a locker of it lives. The
        /// configuration is copied.
        /// </summary>
        /// <exception cref="SessionLockerException">As for <see cref="EasyStore"/>.</exception>
        public LockerSpec(LockerStorage storage, LockerSpecConfig config)
            : this(Make(storage, config))
        {
        }

        private LockerSpec(Made made)
            : base(made.Native, Destroy)
        {
            hooks = made.Hooks;
            hooks.HasErrorListener = true; // Each locker sees to its own.
        }

        internal SlLockerSpec* Native
        {
            get { return (SlLockerSpec*)Name; }
        }

        /// <summary>
        /// Makes a locker for a key (1 to 512 bytes of UTF-8) that wants nothing yet: the original's <c>LockerCreate</c>. Its
        /// first events come with its first update.
        /// </summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.InvalidArgument"/> (the key, an option).</exception>
        public Locker CreateLocker(string key, SessionOptions options = null)
        {
            using (var texts = new Arena())
            {
                SlSessionOptions place;
                SlLocker* locker;
                UIntPtr length;
                byte* text = texts.Needed(key, "key", out length);
                Ok(NativeMethods.locker_create(Native, text, length, SessionOptions.Fill(options, &place, texts), &locker));
                return new Locker(locker, hooks, key);
            }
        }

        /// <summary>
        /// Makes a locker for a player: the user id (1 to 128 bytes of UTF-8) is the key, and the only user id of the
        /// record. The options must have no user ids.
        /// </summary>
        /// <exception cref="SessionLockerException"><see cref="SessionLockerStatus.InvalidArgument"/> (the id, an option).</exception>
        public Locker CreatePlayerLocker(string userId, SessionOptions options = null)
        {
            using (var texts = new Arena())
            {
                SlSessionOptions place;
                SlLocker* locker;
                UIntPtr length;
                byte* text = texts.Needed(userId, "userId", out length);
                Ok(NativeMethods.locker_create_player(
                    Native, text, length, SessionOptions.Fill(options, &place, texts), &locker));
                return new Locker(locker, hooks, userId);
            }
        }

        /// <summary>The value that the spec was made with; times in seconds, switches 0 or 1.</summary>
        public double QueryConfig(ConfigValue value)
        {
            double found;
            Ok(NativeMethods.locker_spec_query_config(Native, (int)value, &found));
            return found;
        }

        private static Made Make(LockerStorage storage, LockerSpecConfig config)
        {
            Check.NotNull(storage, "storage");
            Check.NotNull(config, "config");
            using (var texts = new Arena())
            {
                SlLockerSpecConfig native;
                SlLockerSpec* spec;
                SlClock clock;
                Check.Ok(NativeMethods.locker_spec_config_init(&native, (UIntPtr)sizeof(SlLockerSpecConfig)), null);
                config.Fill((SlEasyStoreConfig*)&native, texts);
                ClockHook clockHook = ClockHook.Fill(config.Clock, &clock);
                native.clock = clockHook == null ? null : &clock;
                var hooks = new SessionHooks(config);
                hooks.Fill(&native);
                int status = NativeMethods.locker_spec_create(storage.Native, &native, &spec);
                if (status != 0)
                {
                    hooks.TakeBack();
                    ClockHook.TakeBack(clockHook);
                    throw Check.Failure(status, storage);
                }
                GC.KeepAlive(storage);
                GC.KeepAlive(config);
                return new Made(spec, hooks);
            }
        }

        private struct Made
        {
            public readonly SlLockerSpec* Native;
            public readonly SessionHooks Hooks;

            public Made(SlLockerSpec* native, SessionHooks hooks)
            {
                Native = native;
                Hooks = hooks;
            }
        }
    }
}
