using System;
using System.Collections.Generic;
using SessionLocker.Native;

namespace SessionLocker
{
    /// <summary>
    /// Makes a new document, by writing to an empty draft, which is valid until this returns. It may run again
    /// for the same key and must depend on its arguments alone. An exception is a failure: the load status
    /// becomes <see cref="LoadStatus.CreateFailed"/>, and nothing is written.
    /// </summary>
    public delegate void CreateSaveData(string key, SaveData data);

    /// <summary>
    /// Applies a remote change to the save data of a key by writing to <paramref name="data"/>, which is valid
    /// until this returns. The change leaves the inbox in the same commit. An exception is a failure: what was
    /// written is undone, the failure is reported, and the change is offered again after the retry cooldown. A
    /// key may come whose profile the host has disposed.
    /// </summary>
    public delegate RemoteChangeResult ProcessRemoteChange(string key, SaveData data, RemoteChange change);

    /// <summary>
    /// Takes over into <paramref name="data"/>, which was just loaded, what the host has written before that into
    /// the save data, <paramref name="offline"/>, a copy. Called at every load, before it is told, also if nothing
    /// was written. An exception is a failure: the save data is as before the call, and loaded all the same.
    /// </summary>
    public delegate void MergeOfflineSaveData(string key, SaveData offline, SaveData data);

    /// <summary>
    /// What stores and lockers are made with. A setting that is null is the default of the process: see
    /// <see cref="SessionLockerLibrary.SetDefault"/>.
    /// </summary>
    /// <remarks>
    /// Hooks run inside an update, wait or drain, on its thread, and may call anything but another of these on
    /// the same store or spec. What they throw never passes through the library: it becomes the hook's failure,
    /// and is told with its exception by <see cref="ReportError"/> and the <c>Error</c> events.
    /// </remarks>
    public abstract class SessionConfig
    {
        internal SessionConfig()
        {
            SaveDataVersion = 1;
        }

        /// <summary>The version of the save data this server writes, 1 or more (1).</summary>
        public int SaveDataVersion { get; set; }

        /// <summary>The <c>VersionPatch</c> of new documents (0).</summary>
        public double SaveDataVersionPatch { get; set; }

        /// <summary>How older documents are brought up to date; null for none.</summary>
        public Migrators Migrators { get; set; }

        /// <summary>The fields of a new document, a JSON object; null if <see cref="CreateSaveData"/> makes them.</summary>
        public string TemplateJson { get; set; }

        /// <summary>
        /// A document to show under every key that was not written, for tests; then nothing is read from or
        /// written to the storage. Null for none.
        /// </summary>
        public string TestDataJson { get; set; }

        /// <summary>Which server this is, for people who read a document; null for a random one.</summary>
        public string JobId { get; set; }

        /// <summary>Which game this is, for people who read a document (0).</summary>
        public long PlaceId { get; set; }

        /// <summary>The longest that a session goes without a save (300 s).</summary>
        public TimeSpan? MaintainSessionPeriod { get; set; }

        /// <summary>
        /// How long a session that stopped saving keeps its key (1800 s). Must be more than
        /// <see cref="MaintainSessionPeriod"/> + 2 <see cref="RequestTimeout"/> + the larger of
        /// <see cref="RequestTimeout"/> and a twentieth of it.
        /// </summary>
        public TimeSpan? SessionExpiry { get; set; }

        /// <summary>How far apart the servers' clocks may be, on a storage without a clock of its own (300 s).</summary>
        public TimeSpan? ClockTolerance { get; set; }

        /// <summary>The wait before a locked key is asked for again, and after a first failure (10 s).</summary>
        public TimeSpan? SessionRetryCooldown { get; set; }

        /// <summary>What that wait doubles up to while the storage keeps failing (120 s).</summary>
        public TimeSpan? SessionRetryCeiling { get; set; }

        /// <summary>How long a request may go unanswered before it counts as failed (30 s).</summary>
        public TimeSpan? RequestTimeout { get; set; }

        /// <summary>The largest document that may be written, reserved fields not counted (4 MiB).</summary>
        public long? DocumentLimitBytes { get; set; }

        /// <summary>The most bytes of documents that one update reads and writes (256 KiB).</summary>
        public long? BytesPerUpdate { get; set; }

        /// <summary>How many purchases a document remembers (100).</summary>
        public int? PurchaseHistoryLimit { get; set; }

        /// <summary>The most requests that one update starts (48).</summary>
        public int? RequestsPerUpdate { get; set; }

        /// <summary>The most requests under way at once (4096).</summary>
        public int? RequestsInFlight { get; set; }

        /// <summary>True: the storage is read but never written; what is written stays in this process (false).</summary>
        public bool? ReadOnlyDataStores { get; set; }

        /// <summary>
        /// True: the steps of each session are logged, and errors that nobody hears are logged in full (false).
        /// See <see cref="SessionLockerLibrary.SetLog"/>.
        /// </summary>
        public bool? VerboseLogs { get; set; }

        /// <summary>Clocks of the host's own; null for the system's.</summary>
        public IClock Clock { get; set; }

        /// <summary>
        /// What all chance is drawn from; 0 for a seed from the operating system. Servers that share a storage
        /// must never share a seed.
        /// </summary>
        public ulong Seed { get; set; }

        /// <summary>Makes a new document; null if there is a template.</summary>
        public CreateSaveData CreateSaveData { get; set; }

        /// <summary>Applies remote changes; with null they stay in the inbox.</summary>
        public ProcessRemoteChange ProcessRemoteChange { get; set; }

        /// <summary>Takes over what was written before the load; with null that is dropped.</summary>
        public MergeOfflineSaveData MergeOfflineSaveData { get; set; }

        /// <summary>
        /// Told of every failure at once, inside the update, perhaps on several threads. What it throws comes out
        /// of the update when that is done. With null, and nobody listening to the <c>Error</c> event, the reporters of
        /// the process are told: see <see cref="SessionLockerLibrary.SetDefaultReportError"/>.
        /// </summary>
        public Action<ErrorReport> ReportError { get; set; }

        // What the host sets on its own after that is for the next store.
        internal SessionConfig Copy()
        {
            return (SessionConfig)MemberwiseClone();
        }

        // The settings of lockers are those of stores, field for field, up to the hooks.
        internal unsafe void Fill(SlEasyStoreConfig* config, Arena texts)
        {
            config->save_data_version = Check.NotNegative(SaveDataVersion, "SaveDataVersion");
            config->save_data_version_patch = SaveDataVersionPatch;
            config->migrators = Migrators == null ? null : (SlMigrators*)Migrators.Name;
            if (TemplateJson != null)
            {
                config->template_json = texts.Text(TemplateJson, out config->template_json_length);
            }
            if (TestDataJson != null)
            {
                config->test_data_json = texts.Text(TestDataJson, out config->test_data_json_length);
            }
            if (JobId != null)
            {
                config->job_id = texts.Text(JobId, out config->job_id_length);
            }
            config->place_id = PlaceId;
            Set(ref config->maintain_session_period, MaintainSessionPeriod);
            Set(ref config->session_expiry, SessionExpiry);
            Set(ref config->clock_tolerance, ClockTolerance);
            Set(ref config->session_retry_cooldown, SessionRetryCooldown);
            Set(ref config->session_retry_ceiling, SessionRetryCeiling);
            Set(ref config->request_timeout, RequestTimeout);
            Set(ref config->document_limit_bytes, DocumentLimitBytes, "DocumentLimitBytes");
            Set(ref config->bytes_per_update, BytesPerUpdate, "BytesPerUpdate");
            Set(ref config->purchase_history_limit, PurchaseHistoryLimit, "PurchaseHistoryLimit");
            Set(ref config->requests_per_update, RequestsPerUpdate, "RequestsPerUpdate");
            Set(ref config->requests_in_flight, RequestsInFlight, "RequestsInFlight");
            Set(ref config->read_only_data_stores, ReadOnlyDataStores);
            Set(ref config->verbose_logs, VerboseLogs);
            config->polls_events = 1;
            config->seed = Seed;
        }

        private static void Set(ref double field, TimeSpan? value)
        {
            if (value.HasValue)
            {
                field = value.Value.TotalSeconds;
            }
        }

        private static void Set(ref ulong field, long? value, string name)
        {
            if (value.HasValue)
            {
                field = Check.NotNegative(value.Value, name);
            }
        }

        private static void Set(ref uint field, int? value, string name)
        {
            if (value.HasValue)
            {
                field = Check.NotNegative(value.Value, name);
            }
        }

        private static void Set(ref int field, bool? value)
        {
            if (value.HasValue)
            {
                field = value.Value ? 1 : 0;
            }
        }
    }

    /// <summary>What an <see cref="EasyStore"/> is made with.</summary>
    public sealed class EasyStoreConfig : SessionConfig
    {
    }

    /// <summary>What a <see cref="LockerSpec"/> is made with.</summary>
    public sealed class LockerSpecConfig : SessionConfig
    {
        /// <summary>
        /// Runs before every save, and may write to the locker's save data; what it writes is in that save. An
        /// exception is a failure: the save data is as before the hook, and the save is put off for a cooldown;
        /// when the session is about to run out, and at its end, it is saved without the hook.
        /// </summary>
        public Action<Locker> BeforeSave { get; set; }

        /// <summary>The same, after <see cref="BeforeSave"/>, just before the document is written out.</summary>
        public Action<Locker> BeforeSaveTransform { get; set; }
    }

    /// <summary>What a session or a locker may be given at its start.</summary>
    public sealed class SessionOptions
    {
        /// <summary>
        /// True: the session never touches the storage. It loads the save data that it has, and keeps it. For
        /// players without records of their own, such as those of tests (false).
        /// </summary>
        public bool DisableApis { get; set; }

        /// <summary>
        /// The users that the record belongs to, at most 64, each of 1 to 128 bytes. They go into the storage with
        /// each save, for erasure requests. Null for none: then the record keeps those it has.
        /// </summary>
        public ICollection<string> UserIds { get; set; }

        /// <summary>
        /// What the log lines begin with, at most 1024 bytes; null for the default. See
        /// <see cref="SessionLockerLibrary.CreateLogPrefix"/>.
        /// </summary>
        public string LogPrefix { get; set; }

        // NULL for the defaults, else `place`, filled in.
        internal static unsafe SlSessionOptions* Fill(SessionOptions options, SlSessionOptions* place, Arena texts)
        {
            if (options == null)
            {
                return null;
            }
            Check.Ok(
                NativeMethods.session_locker_session_options_init(place, (UIntPtr)sizeof(SlSessionOptions)), null);
            place->disable_apis = options.DisableApis ? 1 : 0;
            place->user_ids = texts.Texts(options.UserIds, out place->user_id_count);
            if (options.LogPrefix != null)
            {
                place->log_prefix = texts.Text(options.LogPrefix, out place->log_prefix_length);
            }
            return place;
        }
    }

    /// <summary>A remote change as it was sent.</summary>
    public sealed class RemoteChange
    {
        private SaveData data;

        internal RemoteChange(string json)
        {
            Json = json;
        }

        /// <summary>The whole change, a JSON object: <c>K</c> is its kind, <c>I</c> its id, <c>A</c> when it was sent.</summary>
        public string Json { get; private set; }

        /// <summary>Its kind.</summary>
        public string Kind
        {
            get { return Data.GetString("/K"); }
        }

        /// <summary>The change, to be read by JSON Pointer. Valid until the hook returns.</summary>
        public SaveData Data
        {
            get { return data ?? (data = SaveData.Create(Json)); }
        }

        internal void Release()
        {
            if (data != null)
            {
                data.Dispose();
            }
        }
    }
}
