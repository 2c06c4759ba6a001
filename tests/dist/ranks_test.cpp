#include "esmscale/dist/ranks.h"

#include "support/error_of.h"
#include "support/ranks_in_threads.h"

#include <cerrno>
#include <mutex>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace esmscale::dist {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Ranks, ExchangeTellsEachWhatAllSaid) {
  with_ranks(3, [](Ranks& ranks) {
    for (const char* round : {"a", "b", "c"})
      EXPECT_THAT(ranks.exchange("letters", round + std::to_string(ranks.rank())),
                  ElementsAre(round + std::string("0"), round + std::string("1"), round + std::string("2")));
    EXPECT_EQ(ranks.from_first("a word", ranks.is_first() ? "first" : "other"), "first");
    ranks.barrier("together");
  });
}

// The store refuses a value of more than 8 MiB: the scores of a holdout of 120,000 sequences.
TEST(Ranks, ExchangeTakesLongTexts) {
  with_ranks(2, [](Ranks& ranks) {
    const auto letter = static_cast<char>('a' + ranks.rank());
    for (const size_t size : {size_t{4} << 20, size_t{9} << 20, size_t{1}})
      EXPECT_TRUE(ranks.exchange("scores", std::string(size, letter)) ==
                  (std::vector{std::string(size, 'a'), std::string(size, 'b')}))
          << size;
  });
}

TEST(Ranks, DisagreementNamesTheRankAndTheThing) {
  with_ranks(3, [](Ranks& ranks) {
    ranks.require_agreement("train.seed", "1");
    EXPECT_THAT(error_of([&] { ranks.require_agreement("optimizer.lr", ranks.rank() == 2 ? "0.1" : "0.2"); }),
                AllOf(HasSubstr("rank 2, optimizer.lr"), HasSubstr("0.2, as rank 0 has"), HasSubstr("0.1")));
  });
}

// One rank has a holdout, say, and the others have not.
TEST(Ranks, AnotherTopicIsNoAnswer) {
  with_ranks(2, [](Ranks& ranks) {
    const std::string topic = ranks.is_first() ? "scores of the holdout" : "checkpoint to resume from";
    EXPECT_THAT(error_of([&] { ranks.exchange(topic, "1"); }),
                AllOf(HasSubstr("to agree on " + topic), HasSubstr("same command")));
    EXPECT_THAT(ranks.exchange("a text of lines", "a\nb"), ElementsAre("a\nb", "a\nb"));
  });
}

// To a rank that is gone: the signal would end this one before it could say so.
TEST(Ranks, AWriteThatNobodyReadsIsAnErrorAndNoSignal) {
  with_ranks(2, [](Ranks& ranks) { ranks.barrier("together"); });
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  EXPECT_EQ(::write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  ::close(ends[1]);
}

// Texts that look like the format of the answer, empty ones and one of several pieces.
TEST(Ranks, AnyTextIsExchanged) {
  const std::vector<std::string> texts{"3:abc", "", "a\nb", std::string(100'000, ':'), "1:"};
  with_ranks(5, [&](Ranks& ranks) {
    for (int round = 0; round < 3; ++round)
      EXPECT_EQ(ranks.exchange("texts", texts[static_cast<size_t>(ranks.rank())]), texts);
  });
}

TEST(Ranks, TheSettingThatDiffersIsNamed) {
  with_ranks(3, [](Ranks& ranks) {
    EXPECT_EQ(error_of([&] { ranks.require_agreements({{"a", "1"}, {"b", "2"}}); }), "no error");
    const std::string mine = ranks.rank() == 2 ? "5" : "3";
    EXPECT_THAT(error_of([&] {
                  ranks.require_agreements({{"a", "1"}, {"b", mine}, {"c", "2"}});
                }),
                AllOf(HasSubstr("rank 2, b"), HasSubstr("expected 3"), HasSubstr("found 5")));
  });
}

TEST(Ranks, AloneEverythingReturnsAtOnce) {
  Ranks alone;
  EXPECT_THAT(alone.exchange("x", "mine"), ElementsAre("mine"));
  EXPECT_EQ(alone.from_first("x", "mine"), "mine");
  EXPECT_EQ(alone.group(at::kCPU).size(), 1);
  EXPECT_EQ(alone.reason_of_failure(60), "");
  alone.fail("nothing");
  alone.finish();
}

TEST(Ranks, NobodyAtTheMeetingPoint) {
  // A port that was free a moment ago.
  const int port = MeetingPoint().place(1, 2).port;
  EXPECT_THAT(error_of([&] {
                Ranks({.rank = 1, .ranks = 2, .port = port, .job = "test"},
                      {.heartbeat_seconds = 5, .collective_timeout_seconds = 1});
              }),
              AllOf(HasSubstr("rank 1 of 2"), HasSubstr("127.0.0.1:" + std::to_string(port))));
}

TEST(Ranks, AMissingRankIsAnError) {
  const MeetingPoint meeting;
  EXPECT_THAT(error_of([&] {
                Ranks(meeting.place(0, 2), {.heartbeat_seconds = 5, .collective_timeout_seconds = 4});
              }),
              AllOf(HasSubstr("arrival"), HasSubstr("all 2 ranks; heard from 1")));
}

// The store outlives the attempt: under the same keys the second one would read the first one's end.
TEST(Ranks, ANewAttemptDoesNotReadTheLastOne) {
  const MeetingPoint meeting;
  for (const char* job : {"test", "test, attempt 2"}) {
    std::vector<std::jthread> threads;
    for (int rank = 0; rank < 2; ++rank)
      threads.emplace_back([&, rank] {
        Placement place = meeting.place(rank, 2);
        place.job = job;
        Ranks ranks(place, {.heartbeat_seconds = 60, .collective_timeout_seconds = 30});
        EXPECT_THAT(ranks.exchange("attempt", job), ElementsAre(job, job));
        ranks.fail("out of memory");
      });
  }
}

TEST(Ranks, APortInUse) {
  const MeetingPoint meeting;
  Placement first = meeting.place(0, 2);
  first.hosts_store = true;
  EXPECT_THAT(error_of([&] { Ranks(first, {.heartbeat_seconds = 5, .collective_timeout_seconds = 1}); }),
              AllOf(HasSubstr("port " + std::to_string(first.port)), HasSubstr("MASTER_PORT")));
}

}  // namespace
}  // namespace esmscale::dist
