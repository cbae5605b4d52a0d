Feature: basket

  Scenario: adds up
    Given 19 and 23
    Then the sum is 42

  Scenario: gives a discount
    Given a price of 100
    Then the price with discount is 80

  Scenario: divides
    When I divide by 0

  @skip
  Scenario: ships to mars
    When I divide by 0

  Scenario: wraps as a gift
    Given some paper
    When I wrap it

  Scenario: converts
    Then EUR has a rate

  Scenario: converts
    Then USD has a rate

  Scenario: converts
    Then GBP has a rate

  Scenario Outline: knows
    Then <currency> has a rate

    Examples: west
      | currency |
      | EUR      |
      | USD      |

    Examples: east
      | currency |
      | GBP      |

  @hook
  Scenario: counts the pieces
    Given 19 and 23
