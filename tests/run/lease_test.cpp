// Who works in a folder, by its lock and its lease.
#include "esmscale/run/lease.h"

#include "core/files/lock_call.h"
#include "esmscale/core/files/files.h"
#include "esmscale/run/environment.h"
#include "support/error_of.h"
#include "support/temporary.h"

#include <cerrno>
#include <chrono>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace esmscale::run {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

// A file system that answers a lock with this error, for as long as it lives.
template <int number>
class WithoutLocks {
 public:
  WithoutLocks() {
    lock_call() = [](int, int) {
      errno = number;
      return -1;
    };
  }
  ~WithoutLocks() { lock_call() = former_; }

 private:
  LockCall former_ = lock_call();
};

class Leases : public ::testing::Test {
 protected:
  void renew(const std::string& host, const std::string& job, double age) const {
    write_lease(folder.path(), {.host = host, .job = job, .renewed = seconds_since_1970() - age});
  }

  const TemporaryFolder folder;
};

TEST_F(Leases, LastAsLongAsTheirHolder) {
  {
    const HeldLease lease(folder.path(), true);
    EXPECT_TRUE(read_lease(folder.path()).is_fresh());
    EXPECT_TRUE(read_lease(folder.path()).is_ours());
  }
  EXPECT_FALSE(fs::exists(lease_file(folder.path())));
}

TEST_F(Leases, OneThatCannotBeReadIsNone) {
  write_file(lease_file(folder.path()), "{");
  EXPECT_EQ(read_lease(folder.path()).host, "");
  // The system refuses to look there, as it does in a folder without permission to search it.
  EXPECT_EQ(read_lease(folder / std::string(300, 'x')).host, "");
}

TEST_F(Leases, AFreshOneOfAnotherHostIsRefused) {
  renew("another", "7", 5);
  EXPECT_TRUE(is_in_use(folder.path()));
  EXPECT_THAT(error_of([&] { HeldLease lease(folder.path(), true); }),
              AllOf(HasSubstr("another"), HasSubstr("job 7"), HasSubstr("120 s")));
  renew("another", "7", 1000);
  EXPECT_FALSE(is_in_use(folder.path()));
  const HeldLease lease(folder.path(), true);
}

TEST_F(Leases, AnEndingOneIsWaitedForAndARenewedOneIsNot) {
  renew("another", "7", double(kLeaseEnd.count()) - 0.7);
  wait_for_lease(folder.path(), true);
  EXPECT_FALSE(is_in_use(folder.path()));
  renew("another", "7", 5);
  const std::jthread holder([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
    renew("another", "7", 0);
  });
  EXPECT_THAT(error_of([&] { wait_for_lease(folder.path(), true); }), HasSubstr("the host another"));
}

// The lock says that nobody of this host works here: it was left by a process that was killed.
TEST_F(Leases, OurOwnHostsIsTakenOverWhereTheLockIsFree) {
  renew(host_name(), "", 5);
  EXPECT_FALSE(is_in_use(folder.path()));
  const HeldLease lease(folder.path(), true);
}

template <int number>
void expect_the_lease_decides(const TemporaryFolder& folder) {
  const WithoutLocks<number> mount;
  const FileLock lock(folder / "lock");
  EXPECT_FALSE(lock.is_held());
  EXPECT_FALSE(is_in_use(folder.path()));
  {
    const HeldLease lease(folder.path(), lock.is_held());
    EXPECT_TRUE(is_in_use(folder.path()));
    const FileLock second(folder / "lock");  // the lock refuses nobody
    EXPECT_THAT(error_of([&] { HeldLease another(folder.path(), second.is_held()); }),
                AllOf(HasSubstr(host_name()), HasSubstr("120 s")));
  }
  EXPECT_FALSE(is_in_use(folder.path()));
}

TEST_F(Leases, DecideWhereLocksDoNotWork) {
  expect_the_lease_decides<ENOSYS>(folder);  // Lustre without -o flock
  expect_the_lease_decides<ENOLCK>(folder);  // NFS without its lock server
  expect_the_lease_decides<ENOTSUP>(folder);
}

TEST_F(Leases, AnotherFailureOfALockIsAnError) {
  const WithoutLocks<EIO> mount;
  EXPECT_THAT(error_of([&] { FileLock lock(folder / "lock"); }), HasSubstr("cannot lock it"));
}

}  // namespace
}  // namespace esmscale::run
