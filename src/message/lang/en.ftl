# Notices. The label ends with a colon and is shown bold; $command is shown monospace.
label-status = Connection status of { $pair }:
label-message = Message:
label-next = Next check:
state-down = ⚠️ Down
state-down-again = ⚠️ Down (Recovery attempt #{ $failures })
state-down-unaided = ⚠️ Down (Failed check #{ $failures })
state-up = ✅ Restored (Recovery attempt #{ $failures })
next-in = in { $seconds } s

first = Unavailable after { $attempts } check { $attempts ->
        [one] attempt
       *[other] attempts
    }.
again = The service is still unavailable after { $failures } recovery { $failures ->
        [one] attempt
       *[other] attempts
    }.
again-unaided = The service is still unavailable.
settings = Check attempts: { $attempts }, delay factor: { $factor }
restored = Service restored: { $pair } after { $failures } { $failures ->
        [one] attempt
       *[other] attempts
    }

deed-executed = Command executed: { $command }
deed-executed-again = Last command: { $command }
deed-exit = The command exited with code { $code }: { $command }
deed-signal = The command was killed by signal { $signal }: { $command }
deed-failed = The command failed: { $command }
deed-unstarted = The command could not be started, so it was not run: { $command }
deed-timeout = The command did not end in time and was abandoned; it may have had an effect: { $command }
deed-timeout-unstarted = The host did not answer in time, so the command was not run: { $command }
deed-lost = The connection was lost while the command ran; whether it had an effect is not known: { $command }
deed-unreachable = The host cannot be reached, so the command was not run: { $command }
deed-auth = The host refused our login, so the command was not run: { $command }
deed-host-key = The host's key is not one that we trust, so the command was not run: { $command }
deed-skipped = The command was not run: { $command }
deed-refused = The command was not run ({ $refusal }): { $command }
deed-interrupted = The agent was stopped while the command ran; whether it had an effect is not known: { $command }
deed-nothing = This pair has no command, so nothing was run.

refusal-budget_spent = the budget of { $runs } { $runs ->
        [one] run
       *[other] runs
    } in { $window } is spent, next run after { $until }; REMEDY_BUDGET sets it
refusal-storm = too many pairs fail together (known to be down: { $down } of { $of }), so our own network is suspected; STORM_LIMIT sets it
refusal-name_not_found = the name in the URL does not exist in DNS, and a command does not mend that; check the name
refusal-login_refused = the server answers and does not accept our login, and a command does not mend that; check the user and the password
refusal-starting = the server says that it is starting or stopping, and a restart would only begin that anew; if it lasts, look at its log
refusal-untrusted = nobody whom we trust stands for the server's certificate, and a command does not mend that; look at CA_FILE and at who answers there
refusal-never_up = it comes from the list and was never seen up, so the list may be wrong; DISCOVERY_UP_FIRST sets it
refusal-dry_run = DRY_RUN is on
refusal-not_recorded = the order could not be written to disk; check the space and rights of STATE_DIR
refusal-stopping = the agent is stopping
refusal-up_again = it came back before the command was sent
refusal-by_hand = a person's command for this pair is under way
refusal-unsure = it could not be looked at again before the command was sent; the next check decides
refusal-retired = the pair is no longer in the configuration
refusal-changed = the configuration changed while the command waited for its turn

why = Cause: { $cause } ({ $reason })
why-bare = Cause: { $cause }
timings = Timings: { $phases }
record = This command has healed { $healed } of { $runs } { $runs ->
        [one] time
       *[other] times
    } so far, median { $median }
record-never = This command has not helped so far, in { $runs } { $runs ->
        [one] run
       *[other] runs
    }
cause-dns = the name does not exist
cause-refused = nobody listens on the port
cause-unreachable = the host cannot be reached
cause-timeout = no answer in time
cause-tls = TLS failed
cause-untrusted = the certificate's issuer is not trusted
cause-status = unexpected HTTP status
cause-reset = the connection was cut
cause-redirect = the redirect cannot be followed
cause-protocol = the answer is not of the protocol
cause-content = the answer is not what was expected
cause-login = our login is not accepted
cause-starting = it is starting or stopping
cause-exit = the check command failed
cause-silence = no good report in time
cause-resolver = our resolver does not answer
cause-network = this machine has no network
cause-exhausted = this machine is out of resources
cause-waiting = its first report may still come
cause-denied = this machine does not let us look
phase-dns = DNS { $ms } ms
phase-connect = TCP { $ms } ms
phase-tls = TLS { $ms } ms
phase-first_byte = first byte { $ms } ms
healed-by = Healed by { $command } after { $after }
healed-late = Came back after { $command } ran, later than its verify window: what helped is not known
healed-itself = No command of ours caused it: it came back by itself
healed-while-off = It came back while the agent was off; the exact moment is not known
down-for = Was down for { $span }
happened-at = Happened at { $at }; this message is late
unit-d = { $n } d
unit-h = { $n } h
unit-m = { $n } min
unit-s = { $n } s

digest = Digest: { $down } down, { $up } restored
digest-span = From { $from } to { $to }
digest-down = ⚠️ { $pair }: { $cause }
digest-up = ✅ { $pair }: was down for { $span }
digest-more = … and { $more } more

# Log lines.
log-started = Monitoring started with an interval of { $seconds } s
log-limits = Limits: delay factor { $factor }, longest interval { $max } s, check attempts { $attempts }, { $retry } s between them
log-identity = Configuration: { $file }, STATE_DIR: { $folder }, process { $process }
log-identity-no-file = Configuration: no file, only the process environment, STATE_DIR: { $folder }, process { $process }
log-not-alone = ANOTHER AGENT RUNS WITH THE SAME FILE { $file }, in another STATE_DIR: both watch, run commands and tell. If that is not meant, stop one of them; `fuser { $file }` names both
log-watching = Watched pairs: { $pairs }
log-and-more = and { $more } more
log-attempt-failed = Check of { $pair } ({ $url }): attempt { $attempt }/{ $of } failed: { $cause } ({ $reason })
log-check-down = Check of { $pair } ({ $url }): Unavailable [{ $ms }ms] (attempts: { $made }/{ $of })
log-check-up = Check of { $pair } ({ $url }): Available [{ $ms }ms]
log-check-unknown = Check of { $pair } ({ $url }): Could not look: { $cause } ({ $reason }). This does not count as down
log-command-start = Running the command on { $site } (Recovery attempt #{ $attempt }): { $command }
log-command-ok = The command succeeded on { $site } (Recovery attempt #{ $attempt })
log-command-failed = The command did not succeed on { $site } (Recovery attempt #{ $attempt }): { $status }: { $reason }
log-verify-healed = { $pair } is up { $after } after the command
log-verify-still-down = { $pair } is still down { $window } after the command
log-recovered = { $pair } is up again after { $failures } { $failures ->
        [one] attempt
       *[other] attempts
    }, was down for { $span }
log-recovered-while-off = { $pair } came back while the agent was off
log-still-down = { $pair } is still down since { $since }
log-refused = The command for { $pair } was not run: { $refusal }
log-command-shared = The command for { $pair } already runs on { $host }, its result is shared: { $command }
log-command-waits = The command for { $pair } waits until { $host } has finished another one: { $command }
log-interrupted = The agent was stopped while this command for { $pair } ran; it is not run again before the next check: { $command }
log-notice-undelivered = The notice about { $pair } did not reach { $channel }: { $why }. Next try in { $next } s
log-notice-dropped = The notice about { $pair } was given up for { $channel }: { $why }
log-channel-broken = The channel { $channel } does not work: { $why }. Notices are kept, next try in { $next } s
log-channel-back = The channel { $channel } works again
log-chat-moved = The chat of { $channel } moved to { $chat }: put TELEGRAM_CHAT_ID={ $chat } into .env
log-safer-budget = At most { $value } commands are run for one pair ({ $key } changes it)
log-safer-storm = If more than { $value } of at least 3 pairs go down together, nothing is healed ({ $key } changes it)
log-safer-host-keys = SSH host keys: { $value }; a changed key is always refused ({ $key } changes it)
log-safer-verify = After a command the service is probed for { $value } ({ $key } changes it)
log-safer-command-timeout = A command may run for { $value } ({ $key } changes it)
log-safer-check-timeout = One attempt may take { $value } ({ $key } changes it)
log-dry-run = DRY_RUN is on: commands are written down and not run
log-reloaded = The configuration was read again: { $pairs } { $pairs ->
        [one] pair
       *[other] pairs
    }
log-reload-refused = The new configuration was refused, the old one stays: { $problems }
log-listening = The API listens on { $address }
log-stopping = Stopping: no new commands, a running one may finish
log-stopped = Stopped
log-clock-jump = The clock jumped by { $gap } s; readings of that time are thrown away
log-host-key-learned = The key of { $site } was seen for the first time and recorded: { $fingerprint }. Compare it with the host's own
log-storm = Too many pairs fail together (known to be down: { $down } of { $of }): our own network is suspected, nothing is healed
log-storm-over = The storm is over, healing is on again
log-store-trouble = State cannot be written: { $why }. Checks go on, commands are not run until it can
log-store-back = State can be written again
log-env-readable = { $path } with secrets is readable by others: run chmod 600 { $path }
status-executed = executed
status-failed = failed
status-timeout = timeout
status-unreachable = host unreachable
status-auth_failed = login refused
status-host_key_mismatch = host key not trusted
status-skipped = not run

# Alarms: what is told once in place of many failures.
label-agent = Monitor:
about-agent = the monitor itself
state-flapping = ⚠️ Flapping
state-unseen = ⚠️ Unknown
state-seen = ✅ Looked at again
state-expiring = ⚠️ Certificate ends soon
state-expired = ⚠️ Certificate has ended
state-settled = ✅ Settled
state-settled-down = ⚠️ Settled down
state-retired = ⏹️ Watched no more
state-storm = ⚠️ Storm suspected
state-storm-over = ✅ Storm over
state-cut-off = ⚠️ Cut off
state-reconnected = ✅ Connected again
state-aftercare = ⚠️ After the recovery
state-drill = 🔧 Drill
alarm-flapping = It is flapping since { $since }: { $changes } changes within { $window }. Its changes are not told one by one, and it is not healed until it is calmer. To heal it now: monitor resume { $pair }
alarm-unseen = It could not be looked at since { $since }: { $cause } ({ $reason }). That does not count as down, and nothing is healed until it can be looked at.
alarm-unseen-many = { $pairs } of { $of } pairs could not be looked at since { $since }: { $cause } ({ $reason }). That lies with this machine; it does not count as down, and nothing is healed.
alarm-seen = It could not be looked at from { $since } to { $until }.
alarm-expiring = The certificate ends at { $ends }, in { $left } { $left ->
        [one] day
       *[other] days
    }. Renew it. Nothing is run for that (TLS_DAYS).
alarm-expired = The certificate ended at { $ends }. Renew it; whoever checks it takes { $pair } for down.
alarm-settled-up = It flaps no more and is up.
alarm-settled-down = It flaps no more and is down; it is healed again.
alarm-retired = It was down for { $span } and was taken out of the configuration or of the list. It is neither checked nor healed any more, and whether it comes back is not told.
alarm-storm = Too many pairs fail together ({ $down } of { $of } are known to be down so far), so our own network is suspected: nothing is healed, and single failures are not told. It ends by itself once not too many have been down for a while (STORM_LIMIT, STORM_QUIET); if they really are down: monitor resume
alarm-storm-over = The storm that began at { $since } is over, healing is on again. Pairs still down: { $down }
alarm-cut-off = { $answered } of { $of } witnesses of { $key } answer, { $needed } have to: we are cut off. Checks that fail count as unknown, and nothing is healed. If the network of this machine works, correct { $key }.
alarm-reconnected = We were cut off from { $since } to { $until } ({ $key }). Failed checks of that time count as unknown, and nothing was healed.
drill-real = A drill with the pair's own command, ordered by { $by }.
drill-harmless = A drill with a harmless command, ordered by { $by }.
drill-up = A probe afterwards saw the pair up
drill-down = A probe afterwards saw the pair down
gave-up = Healing does not help: the last rung has run and it is still down. Tries go on as far as the budget goes
holds = Held as long as it is down: { $pairs }
until = until { $until }
until-resumed = until it is resumed
scope-all = all pairs
refusal-cooldown = it ran a short while ago, next run after { $until }; REMEDY_COOLDOWN sets it
refusal-flapping = it goes up and down too often: { $changes } changes within { $window }; FLAP_LIMIT sets it
refusal-stopped = healing was stopped by { $by } at { $since }, { $until }
refusal-maintenance = maintenance until { $until }; MAINTENANCE sets it
refusal-parent_down = { $parent }, on which it depends, does not answer either; DEPENDS_ON sets it
refusal-cut_off = { $answered } witnesses answer and { $needed } have to, so we are cut off; WITNESSES sets it
refusal-only_our_route = its own site reaches it, so only our route to it is broken; CROSS_CHECK sets it
refusal-not_cross_checked = its own site could not look: { $why }; CROSS_CHECK sets it
refusal-too_early = this rung runs after { $until }; COMMAND_AFTER sets it
refusal-dry_rung = this rung only says what it would do; COMMAND_MODE sets it
refusal-awaiting_approval = it waits for a person: monitor approve { $id }
refusal-denied = { $by } said no
refusal-still_needed = { $by } still needs it; it is run once that one is up too
refusal-down_again = the pair is down again
cause-cut_off = we are cut off
log-safer-flap = A pair that changes more often than { $value } is told once and not healed ({ $key } changes it)
log-cut-off = We are cut off: { $answered } of { $of } witnesses of { $key } answer, { $needed } have to. Checks that fail count as unknown, nothing is healed
log-reconnected = The witnesses of { $key } answer again
log-flapping = { $pair } is flapping since { $since } ({ $changes } changes): it is told once and not healed
log-unseen = { $pair } could not be looked at since { $since }: { $cause } ({ $reason }). That does not count as down, and nothing is healed
log-unseen-many = { $pairs } of { $of } pairs could not be looked at since { $since }: { $cause } ({ $reason }). That does not count as down, and nothing is healed
log-seen = { $pair } can be looked at again; it could not since { $since }
log-seen-many = The pairs that could not be looked at since { $since } can be looked at again
log-expiring = The certificate of { $pair } ends at { $ends }
log-settled-up = { $pair } flaps no more and is up
log-settled-down = { $pair } flaps no more and is down
log-gave-up = Healing does not help { $pair }: the last rung has run and it is still down
log-healing-stopped = Healing is stopped for { $scope } by { $by }, { $until }
log-healing-resumed = Healing goes on for { $scope }, says { $by }
log-approved = { $by } approved the command for { $pair }: { $command }
log-denied = { $by } refused the command for { $pair }: { $command }
refusal-no_harmless_form = the drill leaves it out, because it has no harmless form
log-drill-real = A drill of { $pair } with its own command begins, ordered by { $by }
log-drill-harmless = A drill of { $pair } with a harmless command begins, ordered by { $by }

# HEAT.
label-heat = Heat on { $host }:
state-heat-fault = ⚠️ Failing
state-heat-recovery = 🔧 Recovery
state-heat-back = ✅ Restored
state-heat-ended = ⛔ Watching ended
heat-fault = The check fails. Failures in a row: { $failures }, last exit code: { $code }. The check: { $command }
heat-recovery-ran = The recovery has run, and checks decide whether it helped: { $command }
heat-recovery-exit = The recovery exited with code { $code }: { $command }
heat-recovery-timeout = The recovery took too long and was ended: { $command }
heat-recovery-unstarted = The recovery could not be started ({ $why }): { $command }
heat-back = The check succeeds again, { $span } after its first failure. Failures: { $failures }. The check: { $command }
heat-ended-check = The check was stopped ({ $why }), nothing is watched any more: { $command }
heat-ended-recovery = The recovery was stopped ({ $why }), nothing is watched any more: { $command }
heat-ended-receiver = The process that receives the signals is gone, nothing is watched any more. The check: { $command }
