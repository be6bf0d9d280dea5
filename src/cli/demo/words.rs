//! What the demo itself says, in the languages of the agent. What the agent says is the business of `message`.

use std::time::Duration;

use crate::message::Language;

use super::breakable::Health;
use super::score::Station;

/// The demo's texts in one language.
#[derive(Debug, Clone, Copy)]
pub struct Words(pub Language);

impl Words {
    fn pick(self, en: &'static str, ru: &'static str, ko: &'static str) -> &'static str {
        match self.0 {
            Language::En => en,
            Language::Ru => ru,
            Language::Ko => ko,
        }
    }

    /// The first line.
    pub fn title(self) -> &'static str {
        self.pick(
            "A service breaks. The agent sees it, heals it over SSH, proves it, and tells people.",
            "Сервис ломается. Агент замечает, чинит по SSH, проверяет результат и сообщает людям.",
            "서비스가 고장 나면 에이전트가 알아채고, SSH로 복구하고, 결과를 확인하고, 알려 줍니다.",
        )
    }

    /// What will be seen, and what will not happen.
    pub fn opening(self) -> [&'static str; 3] {
        match self.0 {
            Language::En => [
                "The agent is the real one. Around it, in this process: two small web services, an SSH server, and a stand-in for Telegram whose messages you will see here.",
                "Nothing outside this machine is touched: all of it is on 127.0.0.1, and in one folder that is removed at the end.",
                "The shop breaks for the first time in 3 seconds. Ctrl-C ends the demo.",
            ],
            Language::Ru => [
                "Агент настоящий. Вокруг него, в этом же процессе: два маленьких веб-сервиса, SSH-сервер и замена Telegram, чьи сообщения вы увидите здесь.",
                "Вне этой машины ничего не затрагивается: всё на 127.0.0.1 и в одной папке, которая в конце удаляется.",
                "Магазин (shop) сломается в первый раз через 3 секунды. Ctrl-C завершает демонстрацию.",
            ],
            Language::Ko => [
                "에이전트는 진짜입니다. 그 주위로 이 프로세스 안에 작은 웹 서비스 두 개, SSH 서버, 그리고 텔레그램 대역이 있으며 메시지는 여기에 표시됩니다.",
                "이 컴퓨터 밖의 것은 건드리지 않습니다. 모두 127.0.0.1과 끝나면 지워지는 폴더 하나 안에 있습니다.",
                "3초 뒤에 상점(shop)이 처음으로 고장 납니다. Ctrl-C로 데모를 끝냅니다.",
            ],
        }
    }

    /// The heading of the `.env`.
    pub fn settings(self) -> &'static str {
        self.pick(
            "The agent's .env (an ordinary one, with short times; secrets masked):",
            "Файл .env агента (обычный, но с короткими интервалами; секреты скрыты):",
            "에이전트의 .env (평범한 설정이며 간격만 짧고, 비밀은 가렸습니다):",
        )
    }

    /// The heading of the story.
    pub fn starts(self) -> &'static str {
        self.pick("The agent starts:", "Агент запускается:", "에이전트를 시작합니다:")
    }

    /// What happens to the shop.
    pub fn breaks(self, health: Health) -> &'static str {
        match health {
            Health::Unavailable => self.pick(
                "The shop breaks now: it answers 503",
                "Магазин ломается: отвечает 503",
                "상점이 고장 납니다: 503으로 응답합니다",
            ),
            Health::Gone => self.pick(
                "The shop breaks now: its process is gone, nobody listens on the port",
                "Магазин ломается: процесс пропал, порт никто не слушает",
                "상점이 고장 납니다: 프로세스가 사라져 포트를 여는 쪽이 없습니다",
            ),
            Health::Silent => self.pick(
                "The shop breaks now: it hangs, takes connections and says nothing",
                "Магазин ломается: завис, принимает соединения и молчит",
                "상점이 고장 납니다: 멈춰서 연결은 받지만 대답하지 않습니다",
            ),
            Health::Cut => self.pick(
                "The shop breaks now: it hangs up on every request",
                "Магазин ломается: обрывает каждый запрос",
                "상점이 고장 납니다: 요청마다 연결을 끊습니다",
            ),
            Health::Well => self.pick("The shop is well", "Магазин работает", "상점이 정상입니다"),
        }
    }

    /// It is well until it breaks again.
    pub fn rests(self, rest: Duration) -> String {
        let seconds = rest.as_secs();
        match self.0 {
            Language::En => {
                format!("All is well. The next outage, of another kind, comes in {seconds} s (Ctrl-C ends the demo)")
            }
            Language::Ru => format!("Всё работает. Следующий сбой, другого рода, через {seconds} с (Ctrl-C завершает)"),
            Language::Ko => format!("모두 정상입니다. {seconds}초 뒤에 다른 종류의 장애가 옵니다 (Ctrl-C로 종료)"),
        }
    }

    /// After the verdict of a remedy.
    pub fn verdict(self) -> &'static str {
        self.pick("verdict", "вердикт", "판정")
    }

    /// Before a message's number.
    pub fn message(self) -> &'static str {
        self.pick("message", "сообщение", "메시지")
    }

    /// A message that makes no sound.
    pub fn silent(self) -> &'static str {
        self.pick("silent", "без звука", "무음")
    }

    /// A message that answers another one.
    pub fn reply_to(self, id: i64) -> String {
        match self.0 {
            Language::En => format!("reply to {id}"),
            Language::Ru => format!("ответ на {id}"),
            Language::Ko => format!("{id}에 대한 답장"),
        }
    }

    /// The heading of the summary.
    pub fn ending(self) -> &'static str {
        self.pick("What you saw", "Что вы увидели", "지금까지 본 것")
    }

    /// The counts.
    pub fn summary(
        self,
        incidents: u32,
        commands: u32,
        healed: u32,
        median: Option<Duration>,
        messages: u32,
    ) -> String {
        let median = median.map_or_else(|| "–".to_owned(), |median| format!("{:.1}", median.as_secs_f64()));
        match self.0 {
            Language::En => format!(
                "incidents: {incidents} · commands: {commands} · healed: {healed} · median time to heal: {median} s · messages: {messages}"
            ),
            Language::Ru => format!(
                "инцидентов: {incidents} · команд: {commands} · исцелено: {healed} · медиана времени восстановления: {median} с · сообщений: {messages}"
            ),
            Language::Ko => format!(
                "장애: {incidents} · 명령: {commands} · 복구: {healed} · 복구 시간 중앙값: {median}초 · 메시지: {messages}"
            ),
        }
    }

    /// What to do next.
    pub fn next(self) -> [&'static str; 2] {
        match self.0 {
            Language::En => ["Make your own:", "then read docs/tutorial/"],
            Language::Ru => ["Сделайте свой:", "затем прочтите docs/tutorial/"],
            Language::Ko => ["직접 만들어 보세요:", "그다음 docs/tutorial/ 을 읽으세요"],
        }
    }

    /// Why `--once` failed.
    pub fn missing(self, stations: &[Station], within: Option<Duration>) -> String {
        let names: Vec<&str> = stations.iter().map(|station| self.station(*station)).collect();
        let names = names.join(", ");
        match (self.0, within) {
            (Language::En, Some(within)) => {
                format!("nothing was healed within {} s; not seen: {names}", within.as_secs())
            }
            (Language::En, None) => format!("stopped before anything was healed; not seen: {names}"),
            (Language::Ru, Some(within)) => format!("за {} с ничего не исцелено; не было: {names}", within.as_secs()),
            (Language::Ru, None) => format!("остановлено до исцеления; не было: {names}"),
            (Language::Ko, Some(within)) => {
                format!("{}초 안에 복구되지 않았습니다. 보지 못한 것: {names}", within.as_secs())
            }
            (Language::Ko, None) => format!("복구되기 전에 멈췄습니다. 보지 못한 것: {names}"),
        }
    }

    fn station(self, station: Station) -> &'static str {
        match station {
            Station::Fault => self.pick("a failed check", "неудачная проверка", "실패한 점검"),
            Station::Command => self.pick("a command", "команда", "명령"),
            Station::Told => self.pick("the message about the fault", "сообщение о сбое", "장애 메시지"),
            Station::Healed => {
                self.pick("the service up after the command", "сервис жив после команды", "명령 뒤의 정상 확인")
            }
            Station::Restored => {
                self.pick("the message about the recovery", "сообщение о восстановлении", "복구 메시지")
            }
        }
    }
}
