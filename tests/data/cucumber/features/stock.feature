Feature: stock

  Scenario: adds up
    Given 19 and 23
    Then the sum is 43
