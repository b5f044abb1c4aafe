using System;
using System.Runtime.InteropServices;
using AOT;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// Brings save data from one version to the next, or mends it within its version, by writing to
    /// <paramref name="data"/>: a draft, of which nothing is kept if this throws. It may run again on the same
    /// save data, on any thread that updates, and must depend on that save data alone.
    /// </summary>
    /// <param name="data">The draft. Valid until the delegate returns.</param>
    /// <param name="versionPatch">
    /// The <c>VersionPatch</c> to be: 0 for a migrator unless it sets another, as it was for a patcher.
    /// </param>
    public delegate void Migrator(SaveData data, ref double versionPatch);

    /// <summary>
    /// Collects migrators and patchers, and checks that they fit together. It stays usable after
    /// <see cref="Build"/>.
    /// </summary>
    public sealed unsafe class MigratorBuilder : NativeObject
    {
        private static readonly Func<IntPtr, int> Destroy =
            builder => NativeMethods.migrator_builder_destroy((SlMigratorBuilder*)builder);

        private static readonly MigrateShape MigrateDelegate = OnMigrate;
        private static readonly IntPtr MigratePointer = Marshal.GetFunctionPointerForDelegate(MigrateDelegate);

        /// <summary>Makes an empty builder.</summary>
        public MigratorBuilder()
            : base(Make(), Destroy)
        {
        }

        private SlMigratorBuilder* Native
        {
            get { return (SlMigratorBuilder*)Name; }
        }

        /// <summary>
        /// Adds the migrator from a version to the one after it. Version 0 is that of save data that does not
        /// say its own.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Migration"/>: there is one from this version already.
        /// </exception>
        /// <returns>This builder.</returns>
        public MigratorBuilder AddMigratorFrom(int from, Migrator migrator)
        {
            uint version = Check.NotNegative(from, "from");
            var hook = new MigratorHook(migrator);
            int status = NativeMethods.migrator_builder_add_migrator_from(
                Native, version, (void*)MigratePointer, hook.Hold(), (void*)HookData.Drop);
            return Added(hook, status);
        }

        /// <summary>Adds the patcher for save data that is stored in a version. It runs before any migrator.</summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Migration"/>: there is one for this version already.
        /// </exception>
        /// <returns>This builder.</returns>
        public MigratorBuilder AddPatcherFor(int version, Migrator patcher)
        {
            uint stored = Check.NotNegative(version, "version");
            var hook = new MigratorHook(patcher);
            int status = NativeMethods.migrator_builder_add_patcher_for(
                Native, stored, (void*)MigratePointer, hook.Hold(), (void*)HookData.Drop);
            return Added(hook, status);
        }

        /// <summary>Checks that a version is the one the migrators lead to.</summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Migration"/>: the migrator to it is missing, or one leads beyond it.
        /// </exception>
        /// <returns>This builder.</returns>
        public MigratorBuilder CheckVersion(int current)
        {
            Ok(NativeMethods.migrator_builder_check_version(Native, Check.NotNegative(current, "current")));
            return this;
        }

        /// <summary>Gives the migrators and patchers added so far. To be disposed.</summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Migration"/>: a migrator is missing between two others, or a patcher is
        /// for a version that none leads to.
        /// </exception>
        public Migrators Build()
        {
            SlMigrators* migrators;
            Ok(NativeMethods.migrator_builder_build(Native, &migrators));
            return new Migrators(migrators);
        }

        private MigratorBuilder Added(MigratorHook hook, int status)
        {
            if (status != 0)
            {
                hook.TakeBack();
            }
            Ok(status);
            return this;
        }

        private static void* Make()
        {
            SlMigratorBuilder* builder;
            Check.Ok(NativeMethods.migrator_builder_create(&builder), null);
            return builder;
        }

        [MonoPInvokeCallback(typeof(MigrateShape))]
        private static int OnMigrate(IntPtr userData, IntPtr data, IntPtr versionPatch)
        {
            try
            {
                var hook = HookData.Run<MigratorHook>(userData);
                hook.Migrator(new SaveData((SlSaveData*)data), ref *(double*)versionPatch);
                return 0;
            }
            catch (Exception thrown)
            {
                return HookFailure.Status(thrown);
            }
        }

        private sealed class MigratorHook : HookData
        {
            public readonly Migrator Migrator;

            public MigratorHook(Migrator migrator)
            {
                if (migrator == null)
                {
                    throw new ArgumentNullException("migrator");
                }
                Migrator = migrator;
            }
        }
    }

    /// <summary>
    /// Migrators and patchers that fit together, for <see cref="SessionConfig.Migrators"/>. What was created with
    /// them keeps its own, so they may be disposed after that.
    /// </summary>
    public sealed unsafe class Migrators : NativeObject
    {
        private static readonly Func<IntPtr, int> Destroy =
            migrators => NativeMethods.migrators_destroy((SlMigrators*)migrators);

        internal Migrators(SlMigrators* native)
            : base(native, Destroy)
        {
        }

        /// <summary>
        /// Brings save data of the host's own to a version, as a locker does when it loads: all of it or
        /// nothing. For tools and tests.
        /// </summary>
        /// <exception cref="SessionLockerException">
        /// <see cref="SessionLockerStatus.Migration"/> (no migrators lead there, or one failed; the message says
        /// which and why), <see cref="SessionLockerStatus.Unsupported"/> (the save data of a session, or a draft).
        /// </exception>
        public void Migrate(SaveData data, int toVersion)
        {
            if (data == null)
            {
                throw new ArgumentNullException("data");
            }
            Ok(NativeMethods.migrators_migrate((SlMigrators*)Name, data.Native, Check.NotNegative(toVersion, "toVersion")));
            GC.KeepAlive(data);
        }
    }
}
