require_relative "is_not_there"

RSpec.describe("broken") { it("never runs") {} }
