# Уведомления. Метка кончается двоеточием и выделена жирным; $command моноширинный.
label-status = Статус связи { $pair }:
label-message = Сообщение:
label-next = Следующая проверка:
state-down = ⚠️ Нарушено
state-down-again = ⚠️ Нарушено (Попытка восстановления #{ $failures })
state-down-unaided = ⚠️ Нарушено (Неудачная проверка #{ $failures })
state-up = ✅ Восстановлено (Попытка восстановления #{ $failures })
next-in = через { $seconds } сек

first = Недоступность после { $attempts } { $attempts ->
        [one] попытки
       *[other] попыток
    } проверки.
again = Сервис все еще недоступен после { $failures } { $failures ->
        [one] попытки
       *[other] попыток
    } восстановления.
again-unaided = Сервис все еще недоступен.
settings = Проверочных попыток: { $attempts }, множитель задержки: { $factor }
restored = Сервис восстановлен: { $pair } после { $failures } { $failures ->
        [one] попытки
       *[other] попыток
    }

deed-executed = Выполнена команда: { $command }
deed-executed-again = Последняя команда: { $command }
deed-exit = Команда завершилась с кодом { $code }: { $command }
deed-signal = Команда прервана сигналом { $signal }: { $command }
deed-failed = Команда завершилась ошибкой: { $command }
deed-unstarted = Команду не удалось запустить, она не выполнялась: { $command }
deed-timeout = Команда не завершилась вовремя и брошена, она могла подействовать: { $command }
deed-timeout-unstarted = Хост не ответил вовремя, команда не запускалась: { $command }
deed-lost = Связь с хостом оборвалась во время команды, подействовала ли она, неизвестно: { $command }
deed-unreachable = Хост недоступен, команда не запускалась: { $command }
deed-auth = Хост отклонил вход, команда не запускалась: { $command }
deed-host-key = Ключ хоста не из тех, которым мы доверяем, команда не запускалась: { $command }
deed-skipped = Команда не запускалась: { $command }
deed-refused = Команда не запускалась ({ $refusal }): { $command }
deed-interrupted = Агент остановлен во время команды, подействовала ли она, неизвестно: { $command }
deed-nothing = У этой пары нет команды, ничего не запускалось.

refusal-budget_spent = исчерпан лимит: { $runs } { $runs ->
        [one] запуск
        [few] запуска
       *[other] запусков
    } за { $window }, следующий после { $until }; задаёт REMEDY_BUDGET
refusal-storm = слишком много пар отказывает разом (известно: { $down } из { $of }), под подозрением наша собственная сеть; задаёт STORM_LIMIT
refusal-name_not_found = имени из URL нет в DNS, и команда этого не исправит; проверьте имя
refusal-login_refused = сервер отвечает и не принимает наш вход (login), и команда этого не исправит; проверьте пользователя и пароль
refusal-starting = сервер сообщает, что запускается или останавливается, и перезапуск лишь начал бы это заново; если это затянулось, посмотрите его журнал
refusal-untrusted = за сертификат сервера не ручается никто, кому мы доверяем, и команда этого не исправит; проверьте CA_FILE и кто там отвечает
refusal-never_up = она из списка и ни разу не была доступна, так что ошибка может быть в списке; задаёт DISCOVERY_UP_FIRST
refusal-dry_run = включён DRY_RUN
refusal-not_recorded = приказ не удалось записать на диск; проверьте место и права в STATE_DIR
refusal-stopping = агент останавливается
refusal-up_again = пара восстановилась раньше, чем команда была отправлена
refusal-by_hand = для этой пары уже выполняется команда человека
refusal-unsure = перед отправкой команды не удалось посмотреть на пару ещё раз; решит следующая проверка
refusal-retired = пары больше нет в конфигурации
refusal-changed = конфигурация изменилась, пока команда ждала очереди

why = Причина: { $cause } ({ $reason })
why-bare = Причина: { $cause }
timings = Время: { $phases }
record = Счёт этой команды: помогла { $healed } из { $runs }, медиана { $median }
record-never = Счёт этой команды: ни разу не помогла, запусков { $runs }
cause-dns = такого имени нет
cause-refused = порт никто не слушает
cause-unreachable = хост недоступен
cause-timeout = нет ответа вовремя
cause-tls = ошибка TLS
cause-untrusted = нет доверия к издателю сертификата
cause-status = неожиданный статус HTTP
cause-reset = соединение оборвано
cause-redirect = перенаправление невыполнимо
cause-protocol = ответ не по протоколу
cause-content = ответ не тот, что ожидался
cause-login = наш вход не принят
cause-starting = сервер запускается или останавливается
cause-exit = команда проверки завершилась ошибкой
cause-silence = нет вовремя отчёта, что всё в порядке
cause-resolver = наш DNS-сервер не отвечает
cause-network = у этой машины нет сети
cause-exhausted = у этой машины кончились ресурсы
cause-waiting = первый отчёт ещё может прийти
cause-denied = эта машина не разрешает проверку
phase-dns = DNS { $ms } мс
phase-connect = TCP { $ms } мс
phase-tls = TLS { $ms } мс
phase-first_byte = первый байт { $ms } мс
healed-by = Помогла команда { $command }, через { $after } после неё
healed-late = Поднялся после команды { $command }, но позже срока её проверки: что помогло, неизвестно
healed-itself = Наши команды ни при чём: сервис поднялся сам
healed-while-off = Сервис поднялся, пока агент был выключен; точный момент неизвестен
down-for = Не работал { $span }
happened-at = Произошло в { $at }; сообщение запоздало
unit-d = { $n } д
unit-h = { $n } ч
unit-m = { $n } мин
unit-s = { $n } сек

digest = Сводка: недоступно { $down }, восстановлено { $up }
digest-span = С { $from } по { $to }
digest-down = ⚠️ { $pair }: { $cause }
digest-up = ✅ { $pair }: не работал { $span }
digest-more = … и ещё { $more }

# Строки журнала.
log-started = Старт мониторинга с интервалом { $seconds } сек
log-limits = Пределы: множитель задержки { $factor }, наибольший интервал { $max } сек, попыток проверки { $attempts }, между ними { $retry } сек
log-identity = Настройки: { $file }, STATE_DIR: { $folder }, процесс { $process }
log-identity-no-file = Настройки: без файла, только окружение процесса, STATE_DIR: { $folder }, процесс { $process }
log-not-alone = ДРУГОЙ АГЕНТ РАБОТАЕТ С ТЕМ ЖЕ ФАЙЛОМ { $file }, в другом STATE_DIR: оба проверяют, выполняют команды и сообщают. Если так не задумано, остановите один из них; `fuser { $file }` назовёт оба
log-watching = Отслеживаемые пары: { $pairs }
log-and-more = и ещё { $more }
log-attempt-failed = Проверка { $pair } ({ $url }): попытка { $attempt }/{ $of } не удалась: { $cause } ({ $reason })
log-check-down = Проверка { $pair } ({ $url }): Недоступен [{ $ms }ms] (попыток: { $made }/{ $of })
log-check-up = Проверка { $pair } ({ $url }): Доступен [{ $ms }ms]
log-check-unknown = Проверка { $pair } ({ $url }): Посмотреть не удалось: { $cause } ({ $reason }). Недоступностью не считается
log-command-start = Выполнение команды на { $site } (Попытка восстановления #{ $attempt }): { $command }
log-command-ok = Команда выполнена успешно на { $site } (Попытка восстановления #{ $attempt })
log-command-failed = Команда не выполнена на { $site } (Попытка восстановления #{ $attempt }): { $status }: { $reason }
log-verify-healed = { $pair } доступен через { $after } после команды
log-verify-still-down = { $pair } всё ещё недоступен через { $window } после команды
log-recovered = { $pair } снова доступен после { $failures } { $failures ->
        [one] попытки
       *[other] попыток
    }, не работал { $span }
log-recovered-while-off = { $pair } восстановился, пока агент был выключен
log-still-down = { $pair } всё ещё недоступен с { $since }
log-refused = Команда для { $pair } не запускалась: { $refusal }
log-command-shared = Команда для { $pair } уже выполняется на { $host }, результат будет общим: { $command }
log-command-waits = Команда для { $pair } ждёт, пока { $host } закончит другую: { $command }
log-interrupted = Агент остановлен во время этой команды для { $pair }, до новой проверки она не повторяется: { $command }
log-notice-undelivered = Уведомление о { $pair } не дошло до { $channel }: { $why }. Следующая попытка через { $next } сек
log-notice-dropped = Уведомление о { $pair } для { $channel } отброшено: { $why }
log-channel-broken = Канал { $channel } не работает: { $why }. Уведомления хранятся, следующая попытка через { $next } сек
log-channel-back = Канал { $channel } снова работает
log-chat-moved = Чат канала { $channel } переехал в { $chat }: запишите TELEGRAM_CHAT_ID={ $chat } в .env
log-safer-budget = Для одной пары запускается не больше { $value } команд (меняет { $key })
log-safer-storm = Если разом недоступно больше { $value } пар (от трёх), ничего не лечим (меняет { $key })
log-safer-host-keys = Ключи хостов SSH: { $value }; изменившийся ключ всегда отвергается (меняет { $key })
log-safer-verify = После команды сервис проверяется ещё { $value } (меняет { $key })
log-safer-command-timeout = Команда может работать { $value } (меняет { $key })
log-safer-check-timeout = Одна попытка проверки может длиться { $value } (меняет { $key })
log-dry-run = Включён DRY_RUN: команды записываются, но не запускаются
log-reloaded = Настройки прочитаны заново: { $pairs } { $pairs ->
        [one] пара
        [few] пары
       *[other] пар
    }
log-reload-refused = Новые настройки отвергнуты, действуют прежние: { $problems }
log-listening = API слушает на { $address }
log-stopping = Остановка: новых команд не будет, начатая может закончиться
log-stopped = Остановлено
log-clock-jump = Часы прыгнули на { $gap } сек; показания за это время отброшены
log-host-key-learned = Ключ { $site } увиден впервые и записан: { $fingerprint }. Сверьте его с ключом самого хоста
log-storm = Слишком много пар отказывает разом (известно: { $down } из { $of }): под подозрением наша собственная сеть, ничего не лечим
log-storm-over = Буря прошла, лечение снова включено
log-store-trouble = Состояние не записывается: { $why }. Проверки идут, команды не запускаются, пока запись не наладится
log-store-back = Состояние снова записывается
log-env-readable = { $path } с секретами могут читать другие: выполните chmod 600 { $path }
status-executed = выполнена
status-failed = ошибка
status-timeout = не уложилась во время
status-unreachable = хост недоступен
status-auth_failed = вход отклонён
status-host_key_mismatch = нет доверия к ключу хоста
status-skipped = не запускалась

# Тревоги: что сообщается один раз вместо многих сбоев.
label-agent = Монитор:
about-agent = сам монитор
state-flapping = ⚠️ Мерцает
state-unseen = ⚠️ Неизвестно
state-seen = ✅ Снова проверяется
state-expiring = ⚠️ Сертификат скоро истечёт
state-expired = ⚠️ Сертификат истёк
state-settled = ✅ Успокоилось
state-settled-down = ⚠️ Успокоилось, но недоступно
state-retired = ⏹️ Больше не наблюдается
state-storm = ⚠️ Подозрение на бурю
state-storm-over = ✅ Буря прошла
state-cut-off = ⚠️ Мы отрезаны
state-reconnected = ✅ Связь вернулась
state-aftercare = ⚠️ После восстановления
state-drill = 🔧 Учения
alarm-flapping = Мерцает с { $since }: изменений { $changes } за { $window }. О каждом не сообщаем и не лечим, пока не успокоится. Лечить сейчас: monitor resume { $pair }
alarm-unseen = Не удаётся проверить с { $since }: { $cause } ({ $reason }). Это не считается недоступностью; пока проверить нельзя, не лечим.
alarm-unseen-many = Пар, которые не удаётся проверить с { $since }: { $pairs } из { $of }: { $cause } ({ $reason }). Дело в этой машине; это не считается недоступностью, не лечим.
alarm-seen = Не удавалось проверить с { $since } по { $until }.
alarm-expiring = Сертификат действует до { $ends }, осталось дней: { $left }. Обновите его. Команд для этого не выполняем (TLS_DAYS).
alarm-expired = Сертификат истёк { $ends }. Обновите его; кто его проверяет, считает { $pair } недоступным.
alarm-settled-up = Больше не мерцает, доступно.
alarm-settled-down = Больше не мерцает, недоступно; снова лечим.
alarm-retired = Было недоступно { $span } и убрано из настроек или из списка. Больше не проверяем и не лечим, о восстановлении не сообщим.
alarm-storm = Слишком много пар отказывает разом (уже известно: недоступны { $down } из { $of }), под подозрением наша собственная сеть: ничего не лечим и об отдельных сбоях не сообщаем. Пройдёт само, когда недоступных некоторое время будет немного (STORM_LIMIT, STORM_QUIET); если они и правда недоступны: monitor resume
alarm-storm-over = Буря, начавшаяся { $since }, прошла, лечение снова включено. Ещё недоступны: { $down }
alarm-cut-off = Отвечают { $answered } из { $of } свидетелей { $key }, нужно { $needed }: мы отрезаны. Неудачные проверки считаются неизвестными, ничего не лечим. Если сеть этой машины работает, исправьте { $key }.
alarm-reconnected = Мы были отрезаны с { $since } до { $until } ({ $key }). Неудачные проверки за это время считаются неизвестными, ничего не лечили.
drill-real = Учения с настоящей командой пары, приказ отдал { $by }.
drill-harmless = Учения с безвредной командой, приказ отдал { $by }.
drill-up = Проверка после этого увидела пару доступной
drill-down = Проверка после этого увидела пару недоступной
gave-up = Лечение не помогает: последняя ступень выполнена, а сервис недоступен. Попытки идут, пока хватает лимита
holds = Ждут, пока он недоступен: { $pairs }
until = до { $until }
until-resumed = пока его не включат
scope-all = всех пар
refusal-cooldown = недавно уже запускали, следующий запуск после { $until }; задаёт REMEDY_COOLDOWN
refusal-flapping = слишком часто меняется: изменений { $changes } за { $window }; задаёт FLAP_LIMIT
refusal-stopped = лечение остановил { $by } в { $since }, { $until }
refusal-maintenance = обслуживание до { $until }; задаёт MAINTENANCE
refusal-parent_down = { $parent }, от которого он зависит, тоже не отвечает; задаёт DEPENDS_ON
refusal-cut_off = отвечают { $answered } свидетелей, нужно { $needed }: мы отрезаны; задаёт WITNESSES
refusal-only_our_route = со своей площадки он доступен, нарушен только наш путь к нему; задаёт CROSS_CHECK
refusal-not_cross_checked = со своей площадки посмотреть не удалось: { $why }; задаёт CROSS_CHECK
refusal-too_early = эта ступень запускается после { $until }; задаёт COMMAND_AFTER
refusal-dry_rung = эта ступень только говорит, что сделала бы; задаёт COMMAND_MODE
refusal-awaiting_approval = ждёт человека: monitor approve { $id }
refusal-denied = { $by } отказал
refusal-still_needed = это ещё нужно { $by }; выполнится, когда восстановится и он
refusal-down_again = пара снова недоступна
cause-cut_off = мы отрезаны
log-safer-flap = О паре, которая меняется чаще { $value }, сообщаем один раз и не лечим её (меняет { $key })
log-cut-off = Мы отрезаны: отвечают { $answered } из { $of } свидетелей { $key }, нужно { $needed }. Неудачные проверки считаются неизвестными, ничего не лечим
log-reconnected = Свидетели { $key } снова отвечают
log-flapping = { $pair } мерцает с { $since } (изменений: { $changes }): сообщаем один раз и не лечим
log-unseen = { $pair } не удаётся проверить с { $since }: { $cause } ({ $reason }). Это не считается недоступностью, лечения нет
log-unseen-many = Пар, которые не удаётся проверить с { $since }: { $pairs } из { $of }: { $cause } ({ $reason }). Это не считается недоступностью, лечения нет
log-seen = { $pair } снова проверяется; не удавалось с { $since }
log-seen-many = Пары, которые не удавалось проверить с { $since }, снова проверяются
log-expiring = Сертификат { $pair } действует до { $ends }
log-settled-up = { $pair } больше не мерцает, доступно
log-settled-down = { $pair } больше не мерцает, недоступно
log-gave-up = Лечение не помогает { $pair }: последняя ступень выполнена, а сервис недоступен
log-healing-stopped = Лечение остановлено для { $scope }, приказал { $by }, { $until }
log-healing-resumed = Лечение продолжается для { $scope }, приказал { $by }
log-approved = { $by } разрешил команду для { $pair }: { $command }
log-denied = { $by } запретил команду для { $pair }: { $command }
refusal-no_harmless_form = учения её пропускают: безвредной замены для неё нет
log-drill-real = Начаты учения с парой { $pair } и её настоящей командой, приказ отдал { $by }
log-drill-harmless = Начаты учения с парой { $pair } и безвредной командой, приказ отдал { $by }

# HEAT.
label-heat = Heat на { $host }:
state-heat-fault = ⚠️ Сбой
state-heat-recovery = 🔧 Восстановление
state-heat-back = ✅ Восстановлено
state-heat-ended = ⛔ Наблюдение прекращено
heat-fault = Проверка не проходит. Неудач подряд: { $failures }, последний код выхода: { $code }. Проверка: { $command }
heat-recovery-ran = Восстановление выполнено, помогло ли оно, покажут проверки: { $command }
heat-recovery-exit = Восстановление завершилось с кодом { $code }: { $command }
heat-recovery-timeout = Восстановление длилось слишком долго и было прервано: { $command }
heat-recovery-unstarted = Восстановление не удалось запустить ({ $why }): { $command }
heat-back = Проверка снова проходит, через { $span } после первой неудачи. Неудач: { $failures }. Проверка: { $command }
heat-ended-check = Проверка была остановлена ({ $why }), наблюдение больше не ведётся: { $command }
heat-ended-recovery = Восстановление было остановлено ({ $why }), наблюдение больше не ведётся: { $command }
heat-ended-receiver = Процесса, который получает сигналы, больше нет, наблюдение больше не ведётся. Проверка: { $command }
