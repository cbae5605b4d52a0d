RSpec.describe "basket" do
  it("adds up") { expect(19 + 23).to eq(42) }

  it("gives a discount") { expect(100 - 10).to eq(80), "the discount is wrong" }

  it("divides") { 1 / 0 }

  it("ships to mars", skip: "not before spring") {}

  it("wraps as a gift") do
    pending "later"
    raise "no paper"
  end

  it("wraps again") { pending "later" }

  %w[EUR USD GBP].each do |currency|
    it("converts") { expect(%w[EUR GBP]).to include(currency), "#{currency} rate missing" }
  end

  it("counts twice", :aggregate_failures) do
    expect(1).to eq(2)
    expect(3).to eq(4)
  end
end

RSpec.describe "database" do
  before(:context) { raise IOError, "the database does not answer" }

  it("stores the order") {}

  it("finds the order") {}
end

RSpec.describe "archive" do
  after(:context) { raise IOError, "the archive does not close" }

  it("keeps the order") {}
end
